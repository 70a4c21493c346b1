"""`cond`: one branch runs, and what it assigns stays assigned."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import StepError


@pytest.mark.parametrize("compile", [True, False])
def test_only_the_chosen_branch_changes_state(compile):
    low = keras.Variable(0.0, trainable=False)
    high = keras.Variable(0.0, trainable=False)

    def step(x):
        value = keras.ops.mean(x)

        def when_high():
            high.assign_add(value)
            return value * 10.0

        def when_low():
            low.assign_add(value)
            return value

        chosen = ol.cond(value > 2.0, when_high, when_low)
        return {"chosen": chosen}

    loop = ol.Loop(low=low, high=high, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 5.0), batch_size=1)).run()
    assert loop.history.steps["train_chosen"].tolist() == [1.0, 2.0, 30.0, 40.0]
    assert (float(low), float(high)) == (3.0, 7.0)


def test_a_python_bool_chooses_as_an_if_does():
    assert ol.cond(True, lambda: 1, lambda: 2) == 1
    assert ol.cond(False, lambda: 1, lambda: 2) == 2
    assert ol.cond(False, lambda: 1) is None


def test_branches_that_return_different_structures_are_refused():
    def step(x):
        return ol.cond(keras.ops.mean(x) > 0, lambda: {"a": x}, lambda: None) or 0.0

    loop = ol.Loop(observers=[])
    with pytest.raises(StepError, match="different structures"):
        loop.validate(step, ol.Batches(np.ones(2), batch_size=1))
