"""float64 data become Keras' float on every backend; labels of any dtype are equal."""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.fixture(scope="module")
def train():
    """A function that trains on given arrays; returns weights' bits, losses, dtypes."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    first = [keras.ops.copy(weight.value) for weight in model.weights]
    seen = []

    def step(x, y):
        seen[:] = [keras.backend.standardize_dtype(x.dtype)]
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    def run(bits, data, **options):
        for weight, value in zip(model.weights, first, strict=True):
            weight.assign(value)
        loop = ol.Loop(observers=(), **options)
        for epoch in loop.epochs(1):
            epoch.train(step, data, every=3).run()
        losses = np.array(loop.history.steps["train_loss"])
        return bits(model.weights), losses.tolist(), list(seen)

    return run


def make_data():
    x = np.random.default_rng(0).normal(size=(24, 3))
    return x, (x.sum(axis=1) > 0)


def pieces(x, y):
    return [(x[i : i + 4], y[i : i + 4]) for i in range(0, len(x), 4)]


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("stream", [False, True])
def test_float64_gives_the_bits_of_float32(train, bits, compile, stream):
    x, y = make_data()
    y = y.astype("int32")

    def data(x):
        return pieces(x, y) if stream else ol.Batches((x, y), batch_size=4)

    one = train(bits, data(x), compile=compile)
    other = train(bits, data(x.astype("float32")), compile=compile)
    assert one == other
    assert one[2] == ["float32"]


@pytest.mark.in_turn
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "int8"])
def test_labels_of_any_dtype_give_equal_losses(train, bits, dtype):
    """To rounding: XLA orders the arithmetic around another conversion otherwise."""
    x, y = make_data()
    x = x.astype("float32")
    expected = train(bits, ol.Batches((x, y.astype("int32")), batch_size=4))[1]
    one = train(bits, ol.Batches((x, y.astype(dtype)), batch_size=4))
    np.testing.assert_allclose(one[1], expected, rtol=0, atol=1e-6)
    assert train(bits, pieces(x, y.astype(dtype))) == one


def test_python_numbers_and_lists_are_data_too(train, bits):
    x, y = make_data()
    y = y.astype("int32")
    expected = train(bits, pieces(x, y))
    lists = [(a.tolist(), b.tolist()) for a, b in pieces(x, y)]
    assert train(bits, lists) == expected


@pytest.mark.in_turn
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8", "bool"])
def test_a_step_gets_the_dtype_that_the_data_have(dtype):
    seen = []

    def step(x):
        seen.append(keras.backend.standardize_dtype(x.dtype))
        return keras.ops.sum(keras.ops.cast(x, "float32"))

    x = np.ones((6, 2), dtype)
    loop = ol.Loop(observers=())
    for epoch in loop.epochs(1):
        assert epoch.train(step, ol.Batches(x, batch_size=2)).run().loss == 4
        assert epoch.train(step, [x[:2], x[2:4]], name="stream").run().loss == 4
    assert set(seen) == {dtype}
