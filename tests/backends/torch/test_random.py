"""Seeded draws in a compiled step are Keras' own draws."""

import keras
import numpy as np
import torch

from ownloop.backends.contract import STEPWISE, StepValues
from ownloop.backends.torch import random


def test_the_global_generator_is_kept_and_put_back():
    kept = random.read()
    one = torch.rand(3)
    random.write(kept)
    assert torch.equal(torch.rand(3), one)


def test_every_kind_of_seeded_draw_equals_eager_keras(room, batches):
    seed = keras.random.SeedGenerator(3)

    def step(leaves):
        draws = (
            keras.random.uniform((2,), seed=seed),
            keras.random.normal((2,), 1.0, 2.0, seed=seed),
            keras.random.randint((2,), 0, 99, seed=seed),
            keras.random.categorical(keras.ops.ones((2, 9)), 3, seed=seed),
            keras.random.dropout(keras.ops.ones((9,)), 0.5, seed=seed),
            keras.random.uniform((2,), seed=7),
            torch.rand(2),
        )
        return StepValues(tuple(keras.ops.sum(draw) for draw in draws), ())

    program = room.compile(step, [])
    assert program.kind == STEPWISE
    start = room.read(program.variables)
    compiled = program.run([batches(3)], None)
    room.write(program.variables, start)
    eager = room.compile(step, [], eager=True).run([batches(3)], None)
    for one, other in zip(compiled.every, eager.every, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
