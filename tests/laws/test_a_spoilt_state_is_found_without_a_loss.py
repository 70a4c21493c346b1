"""A step that makes the state NaN or infinite is undone where no loss shows it, too.

What was so before the step may stay so: a mask of minus infinity is no error.
"""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
@pytest.mark.parametrize(("at", "every"), [(1, 7), (12, 1), (12, 7), (24, None)])
@pytest.mark.parametrize("later", [True, False])
def test_state_that_is_spoilt_without_a_loss_is_found_too(at, every, later):
    """`later`: the next loss shows it; if not, none ever does."""
    total = keras.Variable(np.zeros(3, "float32"), trainable=False, name="total")

    def step(x):
        loss = keras.ops.sum(total) * float(later)
        total.assign_add(keras.ops.where(x == at, float("inf"), 1.0) * x)
        return {"loss": loss}

    data = ol.Batches(np.arange(1, 25, dtype="float32"), batch_size=1)
    loop = ol.Loop(total=total, observers=())

    def train():
        for epoch in loop.epochs(1):
            epoch.train(step, data, every=every).run()

    with pytest.raises(ol.errors.NonFiniteError, match="total has 3 inf among 3"):
        train()
    assert loop.step == at - 1
    assert (
        keras.ops.convert_to_numpy(total.value * 1).tolist() == [at * (at - 1) / 2] * 3
    )


@pytest.mark.in_turn
def test_what_was_not_finite_before_may_stay_so():
    mask = keras.Variable([0.0, -np.inf], trainable=False, name="mask")
    count = keras.Variable(0, dtype="int32", trainable=False)

    def step(x):
        count.assign_add(1)
        mask.assign(mask + x[0])
        return {"loss": x[0]}

    data = ol.Batches(np.array([1, 1, np.inf, 1], "float32"), batch_size=1)
    loop = ol.Loop(mask=mask, observers=())
    for epoch in loop.epochs(1):
        epoch.train(step, data, steps=2).run()
        with pytest.raises(ol.errors.NonFiniteError, match="mask has 1 inf among 2"):
            epoch.train(step, data, steps=2).run()
    assert loop.step == 2
