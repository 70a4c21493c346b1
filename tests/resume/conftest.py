"""What tests of runs that are continued share: a small run in a folder."""

import keras
import numpy as np
import pytest

import ownloop as ol


def _small_run(folder):
    """Makes a weight, four batches, a step that changes it, and a loop of its own."""
    weight = keras.Variable(1.0, name="weight")
    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

    def step(x):
        weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
        return keras.ops.sum(weight.value)

    loop = ol.Loop(compile=False, observers=[], folder=folder, save=None, w=weight)
    return weight, data, step, loop


@pytest.fixture(scope="session")
def small_run():
    """Return what makes a weight, four batches, a step over it, and a loop."""
    return _small_run
