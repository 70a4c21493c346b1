"""The first bad step is found, wherever it lies, in few steps run again."""

import keras
import numpy as np
import pytest

import ownloop as ol

STEPS = 64


@pytest.mark.parametrize("delay", [0, 1, 5, STEPS])
@pytest.mark.parametrize("bad", [0, 1, 31, 40, 63])
def test_the_search_runs_at_most_twice_the_steps_again(bad, delay, monkeypatch):
    """The state is spoilt at step `bad`, and a loss shows it `delay` steps later."""
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 1e9)
    spoilt = keras.Variable(0.0, trainable=False, name="spoilt")
    calls = []

    def step(x):
        calls.append(1)
        spoilt.assign(keras.ops.where(x[0] == bad, float("nan"), spoilt.value))
        return {"loss": keras.ops.where(x[0] >= bad + delay, spoilt.value, 1.0)}

    loop = ol.Loop(spoilt=spoilt, compile=False, nonfinite="stop", observers=())
    data = ol.Batches(np.arange(STEPS, dtype="float32"), batch_size=1)
    for epoch in loop.epochs(1):
        epoch.train(step, data).run()
    assert loop.step == bad
    assert float(spoilt) == 0
    assert loop.stopped.startswith(f"step {bad + 1}: ")
    # All of them once, the search, and the bad step alone.
    assert STEPS < len(calls) <= STEPS + 2 * STEPS + 1


def test_other_things_that_are_logged_may_be_nan():
    def step(x):
        nothing = keras.ops.mean(x) * float("nan")
        return {"loss": keras.ops.mean(x), "loss_ratio": nothing, "norm": nothing}

    data = ol.Batches(np.ones(6, "float32"), batch_size=2)
    loop = ol.Loop(observers=())
    for epoch in loop.epochs(1):
        epoch.train(step, data).run()
    assert (loop.step, loop.evidence) == (3, None)


@pytest.mark.parametrize("name", ["loss", "g/loss", "d_loss"])
def test_a_name_that_ends_in_loss_is_a_loss(name):
    def step(x):
        return {name: keras.ops.mean(x) * float("inf")}

    def train():
        for epoch in ol.Loop(observers=()).epochs(1):
            epoch.step(step, np.ones(2, "float32"))

    with pytest.raises(ol.errors.NonFiniteError, match=f"{name} is inf. Expected"):
        train()
