"""Columns grow at their end, and what was handed out stays as it was."""

import numpy as np
import pytest

from ownloop.history.columns import Column


@pytest.mark.parametrize("length", [0, 3, 20])
def test_a_part_of_a_column_takes_in_nothing_and_then_something(length):
    column = Column(np.float64, (2,))
    column.extend(np.ones((20, 2)))
    part = column.until(length)
    part.extend(np.empty((0, 2)))
    assert len(part) == length
    part.extend(np.zeros((1, 2)))
    assert part.array[length:].tolist() == [[0.0, 0.0]]
    assert column.array.tolist() == [[1.0, 1.0]] * 20
