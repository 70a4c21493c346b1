"""The state of a step is read and put back, whatever happens in between."""

import keras
import numpy as np
import pytest

from ownloop import backends


def read(*variables, reuse=None):
    return backends.current().read(variables, reuse=reuse)


@pytest.fixture
def variables():
    return (
        keras.Variable(np.arange(6.0, dtype="float32").reshape(2, 3)),
        keras.Variable([True, False], dtype="bool", trainable=False),
        keras.Variable(3, dtype="int32", trainable=False),
    )


def numbers(variables):
    return [
        keras.ops.convert_to_numpy(variable.value).tolist() for variable in variables
    ]


def change(variables):
    matrix, flags, count = variables
    matrix.assign(matrix * 2.0 + 1.0)
    flags.assign(np.array([False, False]))
    count.assign_add(1)


def test_what_was_read_is_put_back(variables):
    first, before = numbers(variables), read(*variables)
    change(variables)
    assert numbers(variables) != first
    backends.current().write(variables, before)
    assert numbers(variables) == first


def test_it_is_put_back_as_often_as_one_likes(variables):
    first, before = numbers(variables), read(*variables)
    for _ in range(3):
        change(variables)
        backends.current().write(variables, before)
        assert numbers(variables) == first


def test_a_snapshot_may_give_its_memory_to_the_next_ones(variables):
    snapshot = read(*variables)
    for _ in range(4):
        change(variables)
        now, snapshot = numbers(variables), read(*variables, reuse=snapshot)
        change(variables)
        backends.current().write(variables, snapshot)
        assert numbers(variables) == now


def test_nothing_at_all_can_be_read():
    snapshot = read(reuse=read())
    assert snapshot.values == ()
    backends.current().write((), snapshot)
