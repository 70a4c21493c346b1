"""Each backend says which variables are finite, of any float dtype and shape."""

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
