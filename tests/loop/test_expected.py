"""What a pass depends on: forgotten while it has done nothing, compared afterwards."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import FolderError

ONES = np.ones((4, 2), "float32")


def play(folder, *, bad_after=None, data=None):
    """Train two passes; the second one's step raises after some batches, or never."""
    weight = keras.Variable(0.0, name="weight")
    done = []

    def first(x):
        weight.assign_add(keras.ops.mean(x))
        return {"loss": weight + 0.0}

    def second(x):
        weight.assign_add(2 * keras.ops.mean(x))
        return {"loss": weight + 0.0}

    def mistaken(x):
        if len(done) == bad_after:
            raise ValueError("mine")
        done.append(x)
        return second(x)

    mistaken.__name__ = "second"  # The same step, before it was mended.
    loop = ol.Loop(folder=folder, compile=False, observers=[], save=1, weight=weight)
    for epoch in loop.epochs(1):
        epoch.train(first, ol.Batches(ONES, 2), name="first").run()
        batches = ol.Batches(ONES if data is None else data, 2)
        step = second if bad_after is None else mistaken
        for _ in epoch.train(step, batches, every=1, name="second"):
            pass
    return loop.history.steps["second_loss"].tolist()


@pytest.mark.parametrize("data", [None, 3 * ONES], ids=["step", "data"])
def test_whoever_mends_a_pass_that_has_done_nothing_goes_on(tmp_path, data):
    with pytest.raises(ValueError, match="mine"):
        play(tmp_path / "run", bad_after=0)
    assert play(tmp_path / "run", data=data) == play(tmp_path / "whole", data=data)


def test_another_step_is_refused_in_a_pass_that_has_done_some(tmp_path):
    with pytest.raises(ValueError, match="mine"):
        play(tmp_path / "run", bad_after=1)
    with pytest.raises(FolderError, match=r"pass 'second': .*code"):
        play(tmp_path / "run")
