"""Each backend says which variables are finite, of any float dtype and shape."""

import gc
import weakref

import keras
import numpy as np
import pytest

from ownloop import backends

DTYPES = ["float16", "bfloat16", "float32"]


def variable(value, dtype):
    return keras.Variable(np.array(value, "float32"), dtype=dtype, trainable=False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_is_found_wherever_it_lies(dtype, bad):
    for place in (0, 500, 999):
        values = np.zeros((10, 100))
        values.flat[place] = bad
        found = [variable(values, dtype), variable(np.zeros(3), dtype)]
        assert backends.current().finite(found).tolist() == [False, True]


def test_the_largest_values_are_finite():
    largest = [variable(np.finfo("float32").max * np.ones(4), "float32")]
    largest.append(variable([65504.0, -65504.0], "float16"))
    assert backends.current().finite(largest).all()


def test_integers_and_what_is_empty_are_finite():
    numbers = keras.Variable([2**31 - 1], dtype="int32", trainable=False)
    flags = keras.Variable([True], dtype="bool", trainable=False)
    empty = variable(np.zeros((0, 3)), "float32")
    assert backends.current().finite([numbers, empty, flags]).all()
    assert backends.current().finite([]).tolist() == []


@pytest.mark.in_turn
def test_nothing_is_kept_alive_by_having_been_looked_at():
    found = [variable(np.zeros(3), "float32"), variable(np.ones(2), "float32")]
    assert backends.current().finite(found).all()
    references = [weakref.ref(one) for one in found]
    del found
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_the_present_values_are_looked_at_each_time():
    one = variable(np.zeros(3), "float32")
    seen = []
    for value in (0.0, np.nan, 1.0):
        one.assign(np.full(3, value, "float32"))
        seen.extend(backends.current().finite([one]))
    assert seen == [True, False, True]
