"""Blocks of batches: they begin with what was given, whatever the rest may hold."""

import numpy as np
import pytest

from ownloop.backends.contract import LeafSpec
from ownloop.backends.tensorflow import place
from ownloop.data import Segment


def segment(count, **batches):
    return Segment(None, count, np.full(count, 2, np.int64), **batches)


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize(
    "dtype",
    ["float32", "float16", "int8", "int32", "uint8", "uint16", "uint64", "bool"],
)
def test_a_block_begins_with_the_rows_that_were_asked_for(count, dtype):
    numbers = (np.arange(30).reshape(10, 3) % 7).astype(dtype)
    rows = np.array([[9, 0], [1, 1], [5, 2], [3, 4]])[:count]
    room = place.BlockRoom([LeafSpec((2, 3), dtype)], 4)
    (block,) = room.fill(segment(count, rows=rows), place.place([numbers]))
    assert block.shape == (4, 2, 3)
    np.testing.assert_array_equal(block.numpy()[:count], numbers[rows])


@pytest.mark.parametrize("count", [1, 4])
def test_a_block_begins_with_the_batches_that_were_read(count):
    batches = np.arange(count * 6.0).reshape(count, 2, 3)
    spec = place.canonical(LeafSpec((2, 3), "float64"))
    room = place.BlockRoom([spec], 4)
    (block,) = room.fill(segment(count, leaves=[batches]), None)
    assert block.shape == (4, 2, 3)
    assert block.dtype == "float32"
    np.testing.assert_array_equal(block.numpy()[:count], batches)
