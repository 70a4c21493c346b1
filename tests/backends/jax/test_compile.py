"""The compiled step: whose arrays it works on, and when they are copied."""

import jax
import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.backends.contract import FUSED, STEPWISE
from ownloop.backends.jax import compile

layers = keras.layers


def dense():
    return keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(2)])


def convolution():
    return keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D()]
    )


def job(network, examples=4):
    """Returns a model, its optimizer, a step over both, and four batches."""
    model, optimizer = network(), keras.optimizers.Adam(0.01)
    optimizer.build(model.trainable_variables)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    x = np.random.default_rng(0).normal(size=(4 * examples, 6, 6, 1)).astype("float32")
    return model, optimizer, step, ol.Batches(x, batch_size=examples)


@pytest.mark.parametrize(("network", "kind"), [(dense, FUSED), (convolution, STEPWISE)])
def test_the_arrays_of_the_variables_outlive_each_chunk(network, kind):
    if jax.default_backend() != "cpu":
        kind = FUSED
    model, optimizer, step, data = job(network)
    variables = [*model.variables, *optimizer.variables]
    kept, copies = [], []
    loop = ol.Loop(observers=())
    for epoch in loop.epochs(1):
        kept.append([variable.value for variable in variables])
        copies.append([np.array(value) for value in kept[-1]])
        for _ in epoch.train(step, data, every=2):
            kept.append([variable.value for variable in variables])
            copies.append([np.array(value) for value in kept[-1]])
    assert f"── {kind}" in str(loop)
    assert len(kept) == 3
    for values, expected in zip(kept, copies, strict=True):
        for value, copy in zip(values, expected, strict=True):
            np.testing.assert_array_equal(value, copy)
    assert not np.array_equal(kept[0][0], kept[1][0])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a rule for the CPU")
@pytest.mark.parametrize(
    ("network", "examples", "copies"),
    [(dense, 4, 0), (dense, 2048, 3), (convolution, 4, 3)],
)
def test_a_loop_over_many_batches_spares_the_copy_of_the_state(
    network, examples, copies, monkeypatch
):
    _, _, step, data = job(network, examples)
    counted, copy = [], compile._copy
    monkeypatch.setattr(
        compile, "_copy", lambda state: counted.append(state) or copy(state)
    )
    for epoch in ol.Loop(observers=()).epochs(1):
        epoch.train(step, data, steps=3, every=1).run()
    assert len(counted) == copies
