"""What is a whole number."""

import enum

import numpy as np
import pytest

from ownloop.whole import whole_number


class Size(enum.IntEnum):
    SMALL = 3


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), np.array(3), np.array(3, "int8"), Size.SMALL]
)
def test_a_whole_number_comes_back_as_a_plain_int(value):
    assert whole_number(value) == 3
    assert type(whole_number(value)) is int


@pytest.mark.parametrize(
    "value",
    [
        *(True, np.True_, np.array(True)),
        *(3.0, np.float64(3), np.float32(3), np.array(3.0), float("nan")),
        *("3", b"3", None, (), [3], np.array([3]), np.array([3, 4]), object),
    ],
    ids=repr,
)
def test_what_is_no_whole_number_is_none(value):
    assert whole_number(value) is None
