"""An optimizer has the variables that it was built for, whatever is trainable now."""

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.resume import optimizers


def train(folder, at=None, *, compile):
    """Trains a model of which a part is frozen on the way."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(2), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    optimizer = keras.optimizers.Adam(0.1)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x) - 1.0) ** 2)
        weights = model.trainable_variables
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}

    rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    data = ol.Batches(rows, batch_size=2)
    loop = ol.Loop(
        folder=folder,
        save=2,
        observers=[],
        compile=compile,
        model=model,
        optimizer=optimizer,
    )
    for epoch in loop.epochs(4):
        if epoch.number == 2:
            layers[0].trainable = False
        for _ in epoch.train(step, data, every=1):
            if loop.step == at:
                raise Killed
    values = [keras.ops.convert_to_numpy(v).tolist() for v in optimizer.variables]
    return values, loop.history.steps["train_loss"].tolist()


@pytest.mark.in_turn
@pytest.mark.parametrize(("compile", "stops"), [(True, [15]), (False, [11, 15])])
def test_what_was_frozen_since_keeps_its_moments(tmp_path, compile, stops):
    expected = train(tmp_path / "whole", compile=compile)
    for at in stops:
        with pytest.raises(Killed):
            train(tmp_path / "killed", at, compile=compile)
    assert train(tmp_path / "killed", compile=compile) == expected


def test_an_optimizer_that_is_built_or_lacks_a_variable_is_left_as_it_is():
    first, second = keras.Variable(1.0), keras.Variable(2.0)
    optimizer = keras.optimizers.SGD()
    objects, variables = {"optimizer": optimizer}, {"a/0": first}
    optimizers.build(objects, {"optimizer": ["a/0", "a/1"]}, variables)
    assert not optimizer.built
    optimizer.build([first])
    optimizers.build(objects, {"optimizer": ["a/1"]}, {"a/1": second})
    assert optimizers.built_for(objects, variables) == {"optimizer": ["a/0"]}
    assert optimizers.built_for(objects, {"a/1": second}) == {}
