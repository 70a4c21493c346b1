"""Rows are read in blocks, and where these end is not to be seen."""

import sqlite3

import pytest

from ownloop.history import reading


@pytest.mark.parametrize("size", [1, 2, 5, 13, 26])
def test_the_size_of_blocks_changes_no_bit(path, size, bits, filled, monkeypatch):
    database, history = filled(path)
    mark = database.mark()
    monkeypatch.setattr(reading, "_BLOCK", size)
    assert bits(database.load()) == bits(history)
    database.verify(mark)
    database.close()


def test_a_row_that_is_missing_in_the_middle_is_noticed(path, filled, monkeypatch):
    database, _ = filled(path)
    monkeypatch.setattr(reading, "_BLOCK", 4)
    connection = database._open_connection()
    connection.execute("UPDATE steps SET id = 100 WHERE id = 6")
    with pytest.raises(sqlite3.DataError, match="rows of steps between 4 and 8 miss"):
        reading.read_tail(connection)
    database.close()
