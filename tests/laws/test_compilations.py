"""Law 6: one compilation per step, batch shape, trainable set and numbers read.

Counted twice: by the loop, and by the times that Python ran a step's body, which
happens while something is compiled and at no other time.
"""

import functools
import gc
import re
import weakref
from typing import ClassVar

import keras
import numpy as np
import pytest

import ownloop as ol

FULL, SHORT = 32, 16
NUMBER = 1.0
_HOW = re.compile(r" runs (eagerly|one batch at a time|without XLA)")


class Notices:
    """An observer that keeps what a person would read."""

    def __init__(self):
        self.texts = []

    def __call__(self, event):
        if hasattr(event, "text"):
            self.texts.append(event.text)

    def take(self):
        texts, self.texts = self.texts, []
        return [text for text in texts if not _HOW.search(text)]


class Bodies:
    """Counts how often Python ran the body of a step."""

    def __init__(self):
        self.runs = []  # A count would be a number of the step's own, which is said.

    def note(self):
        self.runs.append(None)

    def ran(self):
        runs, self.runs = self.runs, []
        return len(runs) > 0


def digits_like(examples):
    generator = np.random.default_rng(0)
    x = generator.uniform(size=(examples, 784)).astype("float32")
    return x, generator.integers(0, 10, examples)


def make_job(bodies, *, sizes=(512, 256, 128), build=True):
    hidden = [keras.layers.Dense(size, activation="relu") for size in sizes]
    inputs = [keras.Input((784,))] if build else []
    model = keras.Sequential([*inputs, *hidden, keras.layers.Dense(10)])
    optimizer = keras.optimizers.Adam(1e-4)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step(x, y):
        bodies.note()
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        accuracy.update_state(y, logits)
        return {"loss": loss, "accuracy": accuracy}

    return model, optimizer, train_step


def run_pass(loop, step, data, **options):
    for epoch in loop.epochs(loop.epoch + 1):
        epoch.train(step, data, **options).run()


@pytest.mark.in_turn(of=("jax", "tensorflow"))
def test_the_job_is_compiled_twice_and_for_nothing_else(backend):
    bodies, notices = Bodies(), Notices()
    model, optimizer, step = make_job(bodies)
    loop = ol.Loop(model=model, optimizer=optimizer, observers=(notices,))
    run_pass(loop, step, ol.Batches(digits_like(10 * FULL + SHORT), batch_size=FULL))
    assert loop.compilations == {"train_step": 2}
    assert bodies.ran()
    first, second = notices.take()
    assert first == "compiling train_step"
    assert second.startswith("compiling train_step for batches of ")
    assert "16" in second
    # Other chunk lengths.
    data = ol.Batches(digits_like(10 * FULL + SHORT), batch_size=FULL, shuffle=True)
    for every in (1, 3, 300, ol.every(4, start=1)):
        with XlaCompilations(backend) as compiled:
            run_pass(loop, step, data, every=every)
        # On JAX the one small program that gathers rows knows the data's length.
        assert len(compiled) <= (1 if every == 1 else 0)
    # Other lengths of the data.
    for whole in (31, 47, 21):
        data = ol.Batches(digits_like(whole * FULL + SHORT), batch_size=FULL)
        run_pass(loop, step, data)
        data = ol.Batches(digits_like(whole * FULL), batch_size=FULL)
        run_pass(loop, step, data, steps=17)
    for examples in (1000, 1500, 700):
        data = digits_like(examples)
        data = ol.Batches(data, batch_size=FULL, drop_remainder=True)
        run_pass(loop, step, data, every=5)
    # The same batches as a stream, and one by one.
    x, y = digits_like(4 * FULL + SHORT)
    stream = [(x[i : i + FULL], y[i : i + FULL]) for i in range(0, len(x), FULL)]
    run_pass(loop, step, stream)
    for epoch in loop.epochs(loop.epoch + 1):
        epoch.step(step, *stream[0])
    # A second loop over the same step.
    other = ol.Loop(model=model, observers=(notices,))
    run_pass(other, step, stream, every=2)
    assert other.compilations == {}
    assert loop.compilations == {"train_step": 2}
    assert notices.take() == []
    assert not bodies.ran()


class XlaCompilations:
    """Lists the programs that XLA compiled for JAX in a block; elsewhere, nothing."""

    _listening = False
    _seen: ClassVar[list[str]] = []

    def __init__(self, backend):
        self._jax = backend == "jax"

    def __enter__(self):
        if self._jax and not XlaCompilations._listening:
            import jax

            jax.monitoring.register_event_duration_secs_listener(self._note)
            XlaCompilations._listening = True
        self._seen.clear()
        return self._seen

    def __exit__(self, *details):
        pass

    @classmethod
    def _note(cls, event, seconds, **details):
        if event.endswith("backend_compile_duration"):
            cls._seen.append(event)


@pytest.mark.in_turn
def test_what_the_first_step_builds_compiles_nothing_again():
    bodies, notices = Bodies(), Notices()
    model, optimizer, step = make_job(bodies, sizes=(8,), build=False)
    loop = ol.Loop(model=model, optimizer=optimizer, observers=(notices,))
    data = ol.Batches(digits_like(4 * FULL), batch_size=FULL)
    for epoch in loop.epochs(3):
        epoch.train(step, data).run()
    assert loop.compilations == {"train_step": 1}
    assert notices.take() == ["compiling train_step"]


@pytest.mark.in_turn
def test_unfreezing_a_layer_compiles_once_more_and_says_so(bits):
    bodies, notices = Bodies(), Notices()
    model, optimizer, step = make_job(bodies, sizes=(8,))
    optimizer.build(model.trainable_variables)
    layer = model.layers[0]
    layer.trainable = False
    loop = ol.Loop(model=model, optimizer=optimizer, observers=(notices,))
    data = ol.Batches(digits_like(4 * FULL), batch_size=FULL)
    frozen = bits([layer.kernel])
    run_pass(loop, step, data)
    assert bits([layer.kernel]) == frozen
    assert loop.compilations == {"train_step": 1}
    notices.take(), bodies.ran()

    layer.trainable = True
    run_pass(loop, step, data)
    assert bits([layer.kernel]) != frozen
    assert loop.compilations == {"train_step": 2}
    (said,) = notices.take()
    assert said.startswith("compiling train_step again: ")
    assert f"{layer.name}.trainable was False and is True" in said
    assert bodies.ran()

    layer.trainable = False
    after = bits([layer.kernel])
    run_pass(loop, step, data)
    assert bits([layer.kernel]) == after
    assert loop.compilations == {"train_step": 2}
    assert notices.take() == []
    assert not bodies.ran()


class Settings:
    """Numbers of a user: one that the step reads, one that it does not."""

    def __init__(self):
        self.attribute = 1.0
        self.unread = 1.0
        self.nested = {"entry": 1.0, "other": 1.0}


@pytest.fixture
def numbers():
    """A step that reads numbers from five places, and what sets each of them."""
    closure, settings, bodies = 1.0, Settings(), Bodies()

    def step(default=1.0):
        bodies.note()
        product = NUMBER * closure * settings.attribute * default
        return keras.ops.convert_to_tensor(product * settings.nested["entry"])

    def set_closure(value):
        nonlocal closure
        closure = value

    def set_global(value):
        globals()["NUMBER"] = value

    def set_attribute(value):
        settings.attribute = value

    def set_default(value):
        step.__defaults__ = (value,)

    def set_entry(value):
        settings.nested["entry"] = value

    def set_unread(value):
        settings.unread = value
        settings.nested["other"] = value
        settings.new = value

    setters = {
        "closure": set_closure,
        "NUMBER": set_global,
        "settings.attribute": set_attribute,
        "default 0": set_default,
        "settings.nested['entry']": set_entry,
    }
    yield step, setters, set_unread, bodies
    set_global(1.0)


@pytest.mark.in_turn
def test_a_number_that_changed_compiles_once_more_and_going_back_does_not(numbers):
    step, setters, set_unread, bodies = numbers
    notices = Notices()
    loop = ol.Loop(observers=(notices,))

    def loss():
        run_pass(loop, step, None, steps=3)
        return loop.history.row(loop.epoch)["train_loss"]

    assert loss() == 1
    expected = 1
    assert loop.compilations == {"step": expected}
    for name, set_number in setters.items():
        notices.take(), bodies.ran()
        set_number(2.0)
        assert loss() == 2
        expected += 1
        assert loop.compilations == {"step": expected}
        (said,) = notices.take()
        assert said == f"compiling step again: {name} was 1.0 and is 2.0"
        assert bodies.ran()
        set_number(1.0)
        assert loss() == 1
        assert loop.compilations == {"step": expected}
        assert notices.take() == []
        assert not bodies.ran()
    set_unread(7.0)
    assert loss() == 1
    assert loop.compilations == {"step": expected}
    assert notices.take() == []
    assert not bodies.ran()


@pytest.mark.once
def test_a_number_that_keeps_changing_is_told_to_become_a_variable(numbers):
    step, setters, _, _ = numbers
    notices = Notices()
    loop = ol.Loop(observers=(notices,))
    for value in (1.0, 2.0, 3.0, 4.0):
        setters["settings.attribute"](value)
        run_pass(loop, step, None, steps=1)
    assert loop.compilations == {"step": 4}
    advice = [text for text in notices.take() if "keras.Variable" in text]
    assert len(advice) == 1
    assert "settings.attribute has changed 3 times" in advice[0]


@pytest.mark.in_turn
def test_a_variable_that_keeps_changing_compiles_once():
    rate, bodies = keras.Variable(1.0), Bodies()

    def step():
        bodies.note()
        return rate * 2

    loop = ol.Loop(observers=())
    for value in (1.0, 2.0, 3.0):
        rate.assign(value)
        run_pass(loop, step, None, steps=1)
        assert loop.history.row(loop.epoch)["train_loss"] == 2 * value
    assert loop.compilations == {"step": 1}


@pytest.mark.in_turn
def test_a_trainable_flag_of_a_single_variable_is_seen():
    weight = keras.Variable(3.0)

    def step():
        with ol.GradientTape() as tape:
            loss = weight * weight
        gradient = tape.gradient(loss, weight, unconnected_gradients="zero")
        return {"gradient": gradient}

    loop = ol.Loop(observers=())
    run_pass(loop, step, None, steps=1)
    assert loop.history.row(1)["train_gradient"] == 6
    weight.trainable = False
    run_pass(loop, step, None, steps=1)
    assert loop.history.row(2)["train_gradient"] == 0
    assert loop.compilations == {"step": 2}


@pytest.mark.in_turn
def test_another_model_under_the_same_names_is_trained_and_not_the_old_one(bits):
    def build():
        kernel = keras.initializers.RandomUniform(-1, 1, seed=1)
        dense = keras.layers.Dense(2, kernel_initializer=kernel, name="dense")
        model = keras.Sequential([keras.Input((3,)), dense], name="model")
        return model, keras.optimizers.SGD(0.1, name="sgd")

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    def train():
        notices = Notices()
        for epoch in ol.Loop(observers=[notices]).epochs(1):
            epoch.train(step, data).run()
        return notices.take()

    data = ol.Batches(np.ones((8, 3), "float32"), batch_size=2)
    model, optimizer = build()
    old = model, optimizer
    begin = bits(model.variables)
    assert train() == ["compiling step"]
    end = bits(model.variables)
    assert end != begin

    # As where the cell of a notebook is run again that makes the model.
    model, optimizer = build()
    assert [v.path for v in model.variables] == [v.path for v in old[0].variables]
    assert bits(model.variables) == begin
    (said,) = train()
    assert said == (
        "compiling step again: it uses another model, optimizer or metric than before"
    )
    assert bits(model.variables) == end
    assert bits(old[0].variables) == end

    model, optimizer = old
    assert train() == []
    assert bits(model.variables) != end


@pytest.mark.in_turn
def test_programs_of_models_that_have_gone_go_too():
    def build():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        return model, keras.optimizers.SGD(0.1)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        mean.update_state(loss)
        return {"mean": mean}

    mean = keras.metrics.Mean()
    data = ol.Batches(np.ones((4, 3), "float32"), batch_size=2)
    kernels = []
    for _ in range(4):
        # As in a search, or where a notebook's cell is run again.
        model, optimizer = build()
        kernels.append(weakref.ref(model.layers[0].kernel))
        gc.collect()
        for epoch in ol.Loop(observers=[]).epochs(1):
            epoch.train(step, data).run()
    gc.collect()
    assert [kernel() is not None for kernel in kernels] == [False, False, False, True]


def _by_def():
    def made(x):
        return keras.ops.mean(x)

    return made


def _by_partial():
    def made(x, weight):
        return keras.ops.mean(x) * weight

    return functools.partial(made, weight=2.0)


class Callable:
    """A step that is an object."""

    def __call__(self, x):
        return keras.ops.mean(x)


@pytest.mark.once
@pytest.mark.parametrize(
    "make", [lambda: lambda x: keras.ops.mean(x), _by_def, _by_partial, Callable]
)
def test_a_function_that_each_epoch_makes_anew_is_told_once(make):
    notices = Notices()
    data = ol.Batches(np.ones(4, "float32"), batch_size=2)
    loop = ol.Loop(observers=[notices])
    for epoch in loop.epochs(5):
        epoch.train(make(), data).run()
    advice = [text for text in notices.take() if "new function" in text]
    assert len(advice) == 1
    assert "was a new function in 3 epochs, made by the same lines" in advice[0]
    assert "defined once, outside of the loop, is compiled once" in advice[0]
    assert sum(loop.compilations.values()) == 5


@pytest.mark.once
def test_functions_of_one_epoch_or_loop_each_or_that_stay_are_not_told_of():
    notices = Notices()
    data = ol.Batches(np.ones(4, "float32"), batch_size=2)
    loop = ol.Loop(observers=[notices])
    for epoch in loop.epochs(1):  # As for validations on several sets.
        for i in range(4):
            epoch.validate(_by_def(), data, name=f"val{i}")
    for _ in range(4):  # As for folds.
        run_pass(ol.Loop(observers=[notices]), _by_def(), data)
    models = [keras.layers.Rescaling(float(i)) for i in range(4)]

    def step(x):
        return keras.ops.mean(models[0](x))

    for epoch in loop.epochs(5):  # The program goes with the model; the function stays.
        epoch.train(step, data).run()
        models = [keras.layers.Dense(1) for _ in models]
        data = ol.Batches(np.ones((4, 1), "float32"), batch_size=2)
        gc.collect()
    assert not any("new function" in text for text in notices.take())


@pytest.mark.once
def test_two_models_of_one_name_may_change_places():
    def build(value):
        kernel = keras.initializers.Constant(value)
        dense = keras.layers.Dense(1, kernel_initializer=kernel, name="dense")
        return keras.Sequential([keras.Input((1,)), dense], name="model")

    current, best = build(1), build(10)

    def step(x):
        return keras.ops.mean(current(x) - 2 * best(x))

    def train():
        notices = Notices()
        loop = ol.Loop(observers=[notices])
        run_pass(loop, step, data)
        return loop.history["train_loss"][-1], notices.take()

    data = ol.Batches(np.ones((4, 1), "float32"), batch_size=2)
    assert train() == (-19.0, ["compiling step"])
    current, best = best, current
    again = "it uses another model, optimizer or metric than before"
    assert train() == (8.0, [f"compiling step again: {again}"])
    current, best = best, current
    assert train() == (-19.0, [])


@pytest.mark.once
def test_another_function_under_the_same_name_is_called():
    def loss_of(x):
        return keras.ops.mean(x)

    first = loss_of

    def step(x):
        return loss_of(x)

    def train():
        notices = Notices()
        loop = ol.Loop(observers=[notices])
        for epoch in loop.epochs(1):
            epoch.train(step, data).run()
        return notices.take(), loop.history["train_loss"].tolist()

    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=2)
    assert train() == (["compiling step"], [1.5])

    def loss_of(x):
        return keras.ops.mean(2 * x)

    said = "compiling step again: loss_of() was another function"
    assert train() == ([said], [3.0])
    loss_of = first
    assert train() == ([], [1.5])


@pytest.mark.once
def test_of_many_shapes_a_few_are_said_and_then_what_would_be_better():
    notices, rate = Notices(), 1.0
    data = [np.ones((4, length), "float32") for length in range(1, 13)]

    def step(x):
        return rate * keras.ops.mean(x)

    loop = ol.Loop(observers=[notices])
    loop.validate(step, data)
    first, *others, last = notices.take()
    assert first == "compiling step"
    shapes = [f"compiling step for batches of float32[4, {n}]" for n in (2, 3, 4)]
    assert others == shapes
    assert last.startswith("step is compiled for each shape of its batches, by now 5:")
    assert "pad them to a few lengths" in last
    assert loop.compilations == {"step": 12}

    rate = 2.0
    loop.validate(step, data[:1])
    again = "compiling step again: rate was 1.0 and is 2.0"
    assert notices.take() == [again]


@pytest.mark.once
def test_of_many_changes_the_first_are_said_and_the_others_counted():
    notices, rates = Notices(), dict.fromkeys(range(8), 1.0)
    data = ol.Batches(np.ones((4, 1), "float32"), batch_size=2)

    def step(x):
        return keras.ops.mean(x) * sum(rates.values())

    loop = ol.Loop(observers=[notices])
    run_pass(loop, step, data)
    rates.update(dict.fromkeys(range(8), 2.0))
    run_pass(loop, step, data)
    _, again = notices.take()
    said = "; ".join(f"rates[{i}] was 1.0 and is 2.0" for i in range(5))
    assert again == f"compiling step again: {said}; and 3 more"


@pytest.mark.once
def test_what_a_layer_was_given_to_call_is_not_frozen():
    factor, notices = 1.0, Notices()
    twice = keras.layers.Lambda(lambda x: factor * x, output_shape=(), name="twice")
    dense = keras.layers.Dense(1, activation=lambda x: x, name="dense")
    dense.build((None, 1))
    dense.set_weights([np.ones((1, 1)), np.zeros(1)])

    def step(x):
        return keras.ops.mean(twice(dense(x)))

    loop = ol.Loop(observers=[notices])
    data = ol.Batches(np.ones((4, 1), "float32"), batch_size=2)

    def train():
        run_pass(loop, step, data)
        return loop.history["train_loss"][-1], notices.take()

    assert train() == (1.0, ["compiling step"])
    factor = 2.0
    again = "compiling step again: twice.function.factor was 1.0 and is 2.0"
    assert train() == (2.0, [again])
    dense.activation = lambda x: 3.0 * x
    again = "compiling step again: dense.activation() was another function"
    assert train() == (6.0, [again])
    assert train() == (6.0, [])


@pytest.mark.once
def test_what_decides_how_a_layer_computes_is_not_frozen():
    dense = keras.layers.Dense(1, name="dense")
    dense.build((None, 1))
    notices, epsilon = Notices(), keras.config.epsilon()
    data = ol.Batches(np.ones((4, 1), "float32"), batch_size=2)
    loop = ol.Loop(observers=[notices])

    def step(x):
        is_half = keras.backend.standardize_dtype(dense(x).dtype) == "bfloat16"
        return keras.ops.mean(x) * (2 if is_half else 1)

    def train():
        run_pass(loop, step, data)
        return loop.history["train_loss"][-1], notices.take()

    assert train() == (1, ["compiling step"])
    dense.dtype_policy = "mixed_bfloat16"
    again = "dense.dtype_policy was 'float32' and is 'mixed_bfloat16'"
    assert train() == (2, [f"compiling step again: {again}"])
    dense.dtype_policy = "float32"
    assert train() == (1, [])
    keras.config.set_epsilon(1e-3)
    try:
        again = "a `trainable` flag, or one of Keras' defaults, has changed"
        assert train() == (1, [f"compiling step again: {again}"])
    finally:
        keras.config.set_epsilon(epsilon)
    assert train() == (1, [])


def test_the_same_seed_gives_the_same_draws_once_more(backend):
    if backend == "jax":
        pytest.skip("Keras refuses draws without a seed there")

    def step(x):
        return keras.ops.mean(x + keras.random.normal((2,)))

    data = ol.Batches(np.zeros(4, "float32"), batch_size=2)

    def train(seed):
        keras.utils.set_random_seed(seed)
        loop = ol.Loop(observers=[])
        run_pass(loop, step, data)
        return loop.history.steps["train_loss"].tolist()

    first, other = train(1), train(2)
    assert first != other
    assert train(1) == first
    assert train(2) == other
