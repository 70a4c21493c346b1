"""A step may be any plain function of a batch: with no weights, with integers only.

And where a backend's compiler cannot take it, it still keeps the laws.
"""

import keras
import numpy as np
import pytest

import ownloop as ol


def logged(step, data=None, *, every=None, **options):
    loop = ol.Loop(observers=())
    for epoch in loop.epochs(1):
        epoch.train(step, data, every=every, **options).run()
    names = [name for name in loop.history.row(1) if name.startswith("train_")]
    return {name: np.array(loop.history.steps[name]).tolist() for name in names}


@pytest.mark.in_turn
def test_a_step_without_variables():
    data = ol.Batches(np.arange(6, dtype="float32"), batch_size=2)
    assert logged(lambda x: keras.ops.sum(x), data) == {"train_loss": [1, 5, 9]}


@pytest.mark.in_turn
def test_a_step_that_changes_no_trainable_variable():
    total = keras.Variable(0.0, trainable=False)

    def step(x):
        total.assign_add(keras.ops.sum(x))
        return total

    data = ol.Batches(np.arange(6, dtype="float32"), batch_size=2)
    assert logged(step, data, every=2) == {"train_loss": [1, 6, 15]}


@pytest.mark.in_turn
def test_a_step_of_integers_only():
    count = keras.Variable(0, dtype="int32", trainable=False)

    def step(x):
        count.assign_add(keras.ops.sum(x))
        return {"count": count, "odd": count % 2, "is odd": count % 2 == 1}

    data = ol.Batches(np.arange(6, dtype="int32"), batch_size=2)
    values = logged(step, data, every=2)
    assert values["train_count"] == [1, 6, 15]
    assert values["train_odd"] == [1, 0, 1]
    assert values["train_is odd"] == [1, 0, 1]


@pytest.mark.in_turn
def test_a_step_that_logs_plain_python_numbers():
    assert logged(lambda: {"half": 0.5, "one": 1}, steps=2) == {
        "train_half": [0.5, 0.5],
        "train_one": [1, 1],
    }


@pytest.mark.in_turn
@pytest.mark.parametrize("every", [None, 1])
def test_python_numbers_in_the_arithmetic_leave_dtypes_alone(host, every):
    small = keras.Variable(1.0, dtype="float16")
    large = keras.Variable(1.0)
    whole = keras.Variable(1, dtype="int32", trainable=False)

    def step():
        small.assign(small * 2)
        large.assign(2.0 * large)
        whole.assign(whole * 2)
        return {"small": small + 1, "constant": keras.ops.convert_to_tensor(3.0)}

    values = logged(step, steps=4, every=every)
    assert values["train_small"] == [3, 5, 9, 17]
    assert [str(host(v).dtype) for v in (small, large, whole)] == [
        "float16",
        "float32",
        "int32",
    ]
    assert [float(host(v)) for v in (small, large, whole)] == [16, 16, 16]


def test_a_step_that_xla_cannot_compile_runs_in_tensorflows_graph(backend, bits):
    if backend != "tensorflow":
        pytest.skip("about TensorFlow's two compilers")
    import tensorflow as tf

    weight = keras.Variable(np.ones(3, "float32"))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build([weight])
    texts = []

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((weight.value * x - 2.0) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, weight.value), weight)])
        length = tf.strings.length(tf.strings.as_string(tf.cast(loss, tf.int32)))
        return {"loss": loss, "length": length}

    def train(every, **options):
        weight.assign(np.ones(3, "float32"))
        loop = ol.Loop(
            observers=[lambda e: texts.append(getattr(e, "text", ""))], **options
        )
        x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
        for epoch in loop.epochs(1):
            epoch.train(step, ol.Batches(x, batch_size=4), every=every).run()
        return bits([weight]), np.array(loop.history.steps["train_loss"])

    whole, losses = train(None)
    said = [text for text in texts if " runs " in text]
    assert len(said) == 1
    assert said[0].startswith("step runs without XLA, which cannot compile it: ")
    assert train(1)[0] == train(3)[0] == whole
    eager = train(None, compile=False)[1]
    np.testing.assert_allclose(eager, losses, atol=1e-5)


def test_it_is_said_that_tensorflows_own_random_numbers_do_not_go_on(backend):
    if backend != "tensorflow":
        pytest.skip("about TensorFlow's own operations")
    import tensorflow as tf

    def said_of(draw):
        texts = []
        loop = ol.Loop(observers=[lambda e: texts.append(getattr(e, "text", ""))])
        for epoch in loop.epochs(1):
            epoch.train(lambda x: x[0] + draw(), ol.Batches(np.ones(2), 1)).run()
        return "\n".join(texts)

    generator, seed = tf.random.Generator.from_seed(1), keras.random.SeedGenerator(1)
    words = "has a state of its own, which no checkpoint has"
    assert f"RandomStandardNormal {words}" in said_of(lambda: tf.random.normal(()))
    assert f"RngReadAndSkip {words}" in said_of(lambda: generator.normal(()))
    said = said_of(lambda: keras.random.normal((), seed=seed))
    assert (
        "runs without XLA, which would draw other random numbers for dropout and the "
        "like (Stateless"
    ) in said
    assert words not in said


def test_convolutions_run_step_by_step_on_jax_on_the_cpu(backend, bits):
    if backend != "jax":
        pytest.skip("about XLA's loops")
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("about XLA on the CPU")
    said = []
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 2), keras.layers.Flatten()]
    )
    first = [keras.ops.copy(weight.value) for weight in model.weights]
    optimizer = keras.optimizers.SGD(0.1)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    def train(every):
        for weight, value in zip(model.weights, first, strict=True):
            weight.assign(value)
        loop = ol.Loop(observers=[lambda e: said.append(getattr(e, "text", ""))])
        x = np.random.default_rng(0).normal(size=(42, 4, 4, 1)).astype("float32")
        for epoch in loop.epochs(1):
            epoch.train(step, ol.Batches(x, batch_size=4), every=every).run()
        return bits(model.weights), np.array(loop.history.steps["train_loss"]).tolist()

    assert train(1) == train(3) == train(None)
    assert [text for text in said if " runs " in text] == [
        "step runs one batch at a time: XLA on the CPU is slow at conv_general_dilated "
        "inside a loop"
    ]


def notices_of(step):
    texts = []
    loop = ol.Loop(observers=[lambda e: texts.append(getattr(e, "text", ""))])
    data = ol.Batches(np.arange(10, dtype="float32"), batch_size=4)
    for epoch in loop.epochs(2):
        epoch.train(step, data).run()
    return [text for text in texts if text]


def test_a_step_that_runs_eagerly_is_not_said_to_be_compiled_again(backend):
    if backend != "torch":
        pytest.skip("about what PyTorch cannot trace")

    def step(x):
        return float(keras.ops.mean(x))

    first, second = notices_of(step)
    assert first == "compiling step"
    assert second.startswith("step runs eagerly: PyTorch cannot compile this step: ")


def test_a_shape_for_which_a_step_is_compiled_after_all_is_said(backend):
    if backend != "torch":
        pytest.skip("about what PyTorch cannot trace")

    def step(x):
        loss = keras.ops.mean(x)
        return float(loss) + loss if x.shape[0] == 4 else loss

    *_, second, third = notices_of(step)
    assert second.startswith("step runs eagerly: ")
    assert third == "compiling step for batches of float32[2]"
