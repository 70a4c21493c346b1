"""How far a run is, in a line, without reading all of it."""

import math

import pytest

from ownloop.errors import FolderError
from ownloop.history.summary import Summary, read_summary


def test_it_says_how_far_a_run_is_and_what_it_saw_last(path, filled):
    database, history = filled(path)
    found = read_summary(path, run="r1")
    assert (found.epochs, found.step) == (len(history), 13)
    assert list(found.last) == ["val_loss", "train_loss", "ä' \"x_g/\nloss"]
    for name, value in found.last.items():
        assert value == history.looks(name).value[-1]
    assert math.copysign(1, found.last["val_loss"]) == -1  # it was -0.0
    database.close()


def test_a_run_that_has_recorded_nothing_is_at_its_begin(path, opened):
    database = opened(path)
    assert read_summary(path) == Summary(0, 0, {})
    database.close()


def test_a_value_that_is_no_number_is_refused(path, filled, table):
    database, _ = filled(path)
    database.append([])
    database._open_connection().execute("UPDATE looks SET value = 'many'")
    with pytest.raises(FolderError, match="'many' is no float64"):
        read_summary(path)
    database.close()
