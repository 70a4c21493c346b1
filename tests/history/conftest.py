"""A history with everything that is hard to keep, and what all of its bits are."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from ownloop.history import History
from ownloop.history.database import Database

ODD = [0.1, 1 / 3, 5e-324, -0.0, 0.0, 2.0, np.inf, -np.inf, np.nan, 1.79e308, 2.0**60]
OTHER_NAN = np.array([0xFFF8000000000000, 0x7FF8000000000123], np.uint64).view("f8")


def _record(history, *, begin=0, end=None, chunk=3):
    """Record steps with odd values, looks in and outside of epochs, arrays, epochs."""
    values = np.concatenate([ODD, OTHER_NAN])
    end = len(values) if end is None else end
    for low in range(begin, end, chunk):
        part = values[low : min(low + chunk, end)]
        steps = np.arange(low + 1, low + len(part) + 1)
        history.record_steps("train", {"loss": part, "rate": -part}, steps)
    if end == len(values):
        history.record_pass("val", {"loss": -0.0, "f1": [[0.5, np.nan]]}, step=4)
        history.record_pass("train", {"loss": OTHER_NAN[0]}, step=8, epoch=1)
        history.record_pass("train", {"loss": 0.25}, step=8, epoch=1)
        history.record_epoch(1, step=8)
        history.record_pass("ä' \"x", {"g/\nloss": 7}, step=13, epoch=3)
        history.record_steps("empty", {"loss": []}, np.array([], int))
        history.record_pass("test", {"none": np.zeros((0, 2))}, step=13)
        history.record_steps("last", {"loss": []}, np.array([], int))


def _bits(history):
    """All that a history can answer, as bytes where it is numbers, in its order."""
    looks = {name: history.looks(name) for name in history.names}
    steps = history.steps
    return {
        "origins": list(history.origins.items()),
        "epochs": [(n, c.shape, c.tobytes()) for n, c in history.epochs.items()],
        "rows": [
            [(n, np.asarray(v).tobytes()) for n, v in history.row(epoch).items()]
            for epoch in range(5)
        ],
        "looks": [
            (n, k.step.tobytes(), k.epoch.tobytes(), k.value.shape, k.value.tobytes())
            for n, k in looks.items()
        ],
        "steps": [(n, steps.step(n).tobytes(), steps[n].tobytes()) for n in steps],
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.db"


def _opened(path, **options):
    database = Database(path, **options)
    database.open(run="r1")
    return database


def _filled(path, **options):
    """A database with all that `record` records, and its history."""
    database, history, records = _opened(path, **options), History(), []
    history.follow(records.append)
    _record(history)
    database.append(records)
    return database, history


def _table(path, question):
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(question).fetchall()


@pytest.fixture
def record():
    """Return what records a history that is hard to keep."""
    return _record


@pytest.fixture
def bits():
    """Return what gives all that a history can answer, bit for bit."""
    return _bits


@pytest.fixture
def opened():
    """Return what opens a database of the run r1."""
    return _opened


@pytest.fixture
def filled():
    """Return what opens one, fills it with what `record` records, and gives both."""
    return _filled


@pytest.fixture
def table():
    """Return what asks a file a question, as another program would."""
    return _table
