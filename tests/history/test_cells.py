"""Cells: a value comes back with its bits, and what is no cell of it is refused."""

import numpy as np
import pytest

from ownloop.history.cells import from_cell, to_cell


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 1, 3)])
def test_a_value_of_any_shape_comes_back_with_its_bits(shape):
    odd = np.array([0xFFF8000000000001, 1 << 63, 1], np.uint64).view("f8")
    value = np.resize(odd, shape)
    back = from_cell(to_cell(value), shape)
    assert (back.dtype, back.shape) == (np.float64, shape)
    assert back.tobytes() == value.tobytes()


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        (bytes(7), ()),
        (bytes(16), ()),
        (bytes(8), (2,)),
        (bytes(8), (0,)),
        (0.5, (1,)),
        (None, (1,)),
        (1, ()),
        ("0.5", ()),
    ],
)
def test_what_is_no_cell_of_a_shape_is_refused(cell, shape):
    with pytest.raises(ValueError, match=r"no float64 of shape \("):
        from_cell(cell, shape)
