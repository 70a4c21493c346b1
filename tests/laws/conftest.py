"""What the laws share: reading variables as they are, and a small job."""

import keras
import numpy as np
import pytest

import ownloop as ol


def _host(value):
    value = value.value if isinstance(value, keras.Variable) else value
    value = value.detach() if hasattr(value, "detach") else value
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


@pytest.fixture(scope="session")
def host():
    """Return what makes a NumPy copy of a variable or tensor, of any backend."""
    return _host


@pytest.fixture(scope="session")
def bits():
    """Return what makes bytes of variables, equal where every bit is."""
    return lambda variables: [_host(variable).tobytes() for variable in variables]


def _make_data(examples=32):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(examples, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


def _dense(units=2, **options):
    return keras.layers.Dense(units, kernel_initializer=_uniform(), **options)


def _uniform():
    return keras.initializers.RandomUniform(-1, 1, seed=1)


def _make_step(model, optimizer, metric=None):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if metric is None:
            return loss
        metric.update_state(keras.ops.one_hot(y, 2), keras.ops.softmax(logits))
        return {"loss": loss, "metric": metric}

    return step


def _make_job(*, build=True, **options):
    inputs = [keras.Input((4,))] if build else []
    model = keras.Sequential([*inputs, _dense(3, activation="relu"), _dense()])
    optimizer = keras.optimizers.Adam(1e-2, **options)
    if build:
        optimizer.build(model.trainable_variables)
    return model, optimizer


def _run_pass(loop, step, data, **options):
    for epoch in loop.epochs(loop.epoch + 1):
        epoch.train(step, data, **options).run()


@pytest.fixture(scope="session")
def make_data():
    """Return what makes small arrays: features and labels of two classes."""
    return _make_data


@pytest.fixture(scope="session")
def make_job():
    """Return what makes a small model and its optimizer, always the same."""
    return _make_job


@pytest.fixture(scope="session")
def make_step():
    """Return what makes a training step over a model."""
    return _make_step


@pytest.fixture(scope="session")
def run_pass():
    """Return what runs one more epoch of a loop, with one pass."""
    return _run_pass


@pytest.fixture
def data():
    """Return eight batches of four."""
    return ol.Batches(_make_data(), batch_size=4)
