"""When a run is saved, and what a call has changed in `loop.memory`."""

import contextlib
import time
from types import SimpleNamespace

import pytest

from ownloop.clock import SaveEvery
from ownloop.loop.capture import Draws
from ownloop.loop.saving import Saving


class Files:
    """Files of a run on a disk that may be slow."""

    def __init__(self, by=None):
        self.by = by
        self.newest = None
        self.is_busy = False
        self.saved = []

    def begin_commit(self, capture, history, step):
        self.saved.append(step)

    def drain(self):
        self.is_busy = False

    def trouble(self):
        return ""


@pytest.fixture
def run():
    streams = SimpleNamespace(held=contextlib.nullcontext)
    data = SimpleNamespace(streams=streams)
    history = SimpleNamespace(names=["loss"])
    return SimpleNamespace(step=0, memory={}, data=data, history=history)


@pytest.fixture
def make(run):
    def make(when, by=None):
        files = Files(by)
        changes = SimpleNamespace(forget_saved=lambda name: None)
        return Saving(files, run, None, changes, when), files

    return make


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def test_a_count_of_steps_is_due_once_at_each_multiple(make, run):
    saving, files = make(SaveEvery(steps=3))
    for run.step in (1, 2, 3, 3, 4, 6, 6):
        if saving.is_due():
            saving.begin()
    assert files.saved == [3, 6]
    assert saving.steps_left(7) == 2


def test_a_time_is_due_when_it_is_over_and_the_disk_is_free(make, clock):
    saving, files = make(SaveEvery(seconds=10.0))
    clock.now = 10.0
    assert not saving.is_due()
    clock.now, files.is_busy = 10.5, True
    assert not saving.is_due()
    files.is_busy = False
    assert saving.is_due()
    saving.begin()
    assert not saving.is_due()
    clock.now = 21.0
    assert saving.is_due()
    saving.count_from_here()
    assert not saving.is_due()


def test_never_is_never_due(make, run, clock):
    saving, _ = make(SaveEvery())
    clock.now, run.step = 1e9, 10**9
    assert not saving.is_due()
    assert saving.steps_left(5) is None


@pytest.mark.parametrize(
    ("by", "is_only_chance", "saved"),
    [(None, False, []), (None, True, [5]), ("loss", False, [5])],
)
def test_the_end_of_an_epoch_is_left_out_while_the_disk_is_slower(
    make, run, by, is_only_chance, saved
):
    saving, files = make(SaveEvery(), by)
    run.step, files.is_busy = 5, True
    saving.end_epoch(is_only_chance=is_only_chance)
    assert files.saved == saved
    files.is_busy = False
    saving.end_epoch(is_only_chance=False)
    assert files.saved == [*saved, 5]


def test_what_a_call_changed_in_memory_is_told_and_what_it_left_is_not(
    make, run, monkeypatch
):
    monkeypatch.setattr(Draws, "until_now", lambda run: None)
    saving, _ = make(SaveEvery())
    run.memory = {"same": 1, "other": 1, "gone": 1, "deep": [1]}
    saving.note_start(call := SimpleNamespace(number=0, open=None))
    del run.memory["gone"]
    run.memory["deep"].append(2)
    run.memory |= {"other": 2, "new": 3}
    told = saving.memory_changed_by(call)
    assert told.pop("gone") is None
    assert told == {
        "other": '{"other": 2}',
        "deep": '{"deep": [1, 2]}',
        "new": '{"new": 3}',
    }
