"""Whoever listens is told of each read of a variable, with its value as stored."""

import keras
import pytest

from ownloop.backends.reads import listen, unlisten

ops = keras.ops


@pytest.fixture
def heard():
    """The variables that were read, and the values that were served."""
    pairs = []

    def note(variable, value):
        pairs.append((variable, value))
        return value

    listen(note)
    yield pairs
    unlisten(note)


def test_reads_of_all_kinds_are_told(heard):
    v = keras.Variable([1.0, 2.0])
    for read in (
        lambda: v + 1.0,
        lambda: ops.sum(v),
        lambda: v.value,
        lambda: v[0],
    ):
        heard.clear()
        read()
        assert v in [variable for variable, _ in heard]


def test_mixed_precision_does_not_hide_the_stored_value(heard):
    dense = keras.layers.Dense(2, dtype="mixed_bfloat16")
    dense.build((1, 3))
    heard.clear()
    dense(ops.ones((1, 3)))
    kernels = [value for variable, value in heard if variable is dense.kernel]
    dtypes = {keras.backend.standardize_dtype(value.dtype) for value in kernels}
    assert dtypes == {"float32"}


def test_what_a_scope_serves_in_place_of_a_variable_is_no_read_of_it(heard):
    v = keras.Variable(1.0)
    with keras.StatelessScope([(v, ops.convert_to_tensor(5.0))]):
        assert float(ops.stop_gradient(v * 2.0)) == 10.0
    assert not [variable for variable, _ in heard if variable is v]


def test_a_listener_decides_what_is_served():
    v = keras.Variable(1.0)

    def replace(variable, value):
        return ops.convert_to_tensor(7.0)

    listen(replace)
    assert float(ops.stop_gradient(v + 0.0)) == 7.0
    unlisten(replace)
    assert float(ops.stop_gradient(v + 0.0)) == 1.0
