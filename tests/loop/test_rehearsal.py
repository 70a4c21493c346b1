"""A step that is run once for what it builds leaves nothing else."""

import random

import keras
import numpy as np
import pytest

from ownloop.backends import current
from ownloop.backends.contract import StepValues
from ownloop.data import Batches, ResidentFeed
from ownloop.loop.rehearsal import rehearse


class Broken(Exception):
    """What a step raises."""


@pytest.mark.parametrize("breaks", [False, True])
def test_only_what_is_built_is_left_and_with_its_first_values(breaks):
    weight, built, seen = keras.Variable(1.0, name="weight"), [], []

    def step(leaves):
        seen.append(int(keras.ops.size(leaves[0])))
        if not built:
            built.append(keras.Variable(2.0, name="slot"))
        for variable in (weight, *built):
            variable.assign(variable * 3.0)
        random.random(), np.random.uniform()
        if breaks:
            raise Broken
        return StepValues((weight.value,), ())

    batches = Batches(np.arange(6, dtype="float32"), batch_size=2)
    feed = ResidentFeed(batches, float_type="float32", epoch=1)
    data = current().place(feed.resident)
    program = current().compile(step, [], eager=True)
    states = random.getstate(), np.random.get_state()[2]
    try:
        rehearse(program, feed.take(3), data, (weight,))
    except Broken:
        assert breaks
    assert seen == [2]
    values = [keras.ops.convert_to_numpy(v).item() for v in (weight, *built)]
    assert values == [1.0, 2.0]
    assert (random.getstate(), np.random.get_state()[2]) == states
