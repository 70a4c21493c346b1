"""Steps that are not compiled build variables as they run; these, too, come back."""

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def plain_model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def lazy_model():
    return keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])


def play(folder, at=None, *, owned, make=plain_model, every=2):
    """Train for three epochs, the optimizer's slots being made by the first step."""
    keras.utils.set_random_seed(0)
    model, optimizer = make(), keras.optimizers.Adam(0.05)
    seen = keras.metrics.Mean(name="seen")

    def step(x, y):
        noise = float(np.random.uniform())
        with ol.GradientTape() as tape:
            error = model(x) - y
            loss = keras.ops.mean(keras.ops.square(error)) + 0.01 * noise
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(grads, model.trainable_variables)
        seen.update_state(loss)
        return {"loss": loss, "seen": seen}

    data = ol.Batches((X, Y), batch_size=4, shuffle=True, seed=1)
    loop = ol.Loop(
        compile=False, observers=[], folder=folder, save=2, **owned(locals())
    )
    for epoch in loop.epochs(3):
        for chunk in epoch.train(step, data, every=every):
            if chunk.step == at:
                raise Killed
    steps = loop.history.steps
    variables = [*model.variables, *optimizer.variables]
    return (
        [np.asarray(keras.ops.convert_to_numpy(v)).tobytes() for v in variables],
        {key: np.asarray(steps[key]).tolist() for key in steps},
    )


def nothing(names):
    return {}


def model_only(names):
    return {"model": names["model"]}


def both(names):
    return {"model": names["model"], "optimizer": names["optimizer"]}


@pytest.mark.in_turn(most=1)
@pytest.mark.parametrize("make", [plain_model, lazy_model])
@pytest.mark.parametrize("owned", [nothing, model_only, both])
@pytest.mark.parametrize("at", [4, 11])
def test_a_run_whose_step_builds_variables_goes_on_the_same(tmp_path, make, owned, at):
    with pytest.raises(Killed):
        play(tmp_path / "killed", at, owned=owned, make=make, every=1)
    killed = play(tmp_path / "killed", owned=owned, make=make)
    assert killed == play(tmp_path / "whole", owned=owned, make=make)


class Counter:
    """An object of the run that a step changes."""

    def __init__(self):
        self.count = 0

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


@pytest.mark.in_turn
def test_what_a_step_changes_beside_variables_is_changed_once(tmp_path):
    def play(folder, at=None):
        weight, optimizer = keras.Variable(1.0), keras.optimizers.Adam(0.1)
        counter = Counter()
        loop = ol.Loop(
            compile=False,
            observers=[],
            folder=folder,
            save=2,
            weight=weight,
            counter=counter,
        )

        def step(x):
            counter.count += 1
            loop.memory["steps"] = loop.memory.get("steps", 0) + 1
            with ol.GradientTape() as tape:
                loss = keras.ops.sum(weight * x) / counter.count
            optimizer.apply(tape.gradient(loss, [weight]), [weight])
            return {"loss": loss}

        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, ol.Batches(X, batch_size=4), every=1):
                if chunk.step == at:
                    raise Killed
        losses = np.asarray(loop.history.steps["train_loss"]).tolist()
        return counter.count, loop.memory["steps"], losses

    with pytest.raises(Killed):
        play(tmp_path / "killed", 8)
    assert play(tmp_path / "killed") == play(tmp_path / "whole")
    assert play(tmp_path / "whole")[:2] == (12, 12)


def unseeded(folder, at=None, **settings):
    """Train by random numbers for which no seed was given; Keras has one for these."""
    keras.utils.set_random_seed(0)
    weight = keras.Variable(1.0, name="weight")

    def step(x):
        noise = keras.random.normal(())
        weight.assign(0.9 * weight + keras.ops.mean(x) + noise)
        return {"loss": weight.value / keras.ops.max(x)}

    loop = ol.Loop(
        compile=False, observers=[], folder=folder, save=2, weight=weight, **settings
    )
    data = ol.Batches(np.array([1, 2, 3, 0, 5, 6, 7, 8], "float32"), batch_size=1)
    for epoch in loop.epochs(2):
        for chunk in epoch.train(step, data, every=1):
            if chunk.step == at:
                raise Killed
    return loop.history.steps["train_loss"].tolist()


@pytest.mark.in_turn
@pytest.mark.parametrize("at", [1, 5, 7, 9, 13])
def test_draws_without_a_seed_go_on(tmp_path, at):
    """One of the steps is left out, with what it has drawn."""
    with pytest.raises(Killed):
        unseeded(tmp_path / "killed", at, nonfinite="skip")
    killed = unseeded(tmp_path / "killed", nonfinite="skip")
    assert np.isinf(killed).sum() == 2
    assert killed == unseeded(tmp_path / "whole", nonfinite="skip")
