"""Memory-mapped arrays: which ones are, and their batches from the disk."""

import mmap

import numpy as np
import pytest

from ownloop.data import Batches, FromEpoch, is_mapped


@pytest.fixture
def rows(tmp_path):
    mapped = np.memmap(tmp_path / "rows", dtype="uint8", mode="w+", shape=(6, 2))
    mapped[:] = np.arange(12).reshape(6, 2)
    return mapped


IN_THE_FILE = {
    "the map": lambda rows: rows,
    "a part": lambda rows: rows[2:],
    "another shape": lambda rows: rows.reshape(4, 3),
    "a plain view": np.asarray,
    "a part of a plain view": lambda rows: np.asarray(rows)[::2],
    "windows": lambda rows: np.lib.stride_tricks.sliding_window_view(rows, 2, axis=0),
}
IN_MEMORY = {
    "a copy": lambda rows: rows.copy(),
    "another dtype": lambda rows: rows.astype("float64"),
    "chosen rows": lambda rows: rows[[0, 2]],
    "a sum": lambda rows: rows + 1,
    "the type alone": lambda rows: np.arange(4).view(np.memmap),
    "memory that is shared": lambda rows: np.ndarray(4, buffer=mmap.mmap(-1, 32)),
}


@pytest.mark.parametrize("case", IN_THE_FILE)
def test_whatever_lies_in_a_file_is_mapped(rows, case):
    array = IN_THE_FILE[case](rows)
    assert is_mapped(Batches((np.arange(len(array)), array), 2))


@pytest.mark.parametrize("case", IN_MEMORY)
def test_what_was_computed_from_it_lies_in_memory(rows, case):
    assert not is_mapped(Batches(IN_MEMORY[case](rows), 2))


def test_the_first_epoch_may_begin_in_its_middle_and_the_next_do_not(rows):
    batches = Batches(rows, 2, shuffle=True, seed=1)
    data = FromEpoch(batches, epoch=4, start=2)
    for epoch, first in ((4, 2), (5, 0), (6, 0)):
        found = np.concatenate(list(data))
        assert np.array_equal(found, rows[batches.rows(epoch)[2 * first :]])
