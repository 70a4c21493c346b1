"""A stretch lasts about a second by the clock, and the clock changes no bit."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import ChunkDone, Failed
from ownloop.loop import pace


class Clock:
    """A clock that moves by the same time at each look."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def perf_counter(self):
        self.now += self.seconds
        return self.now


def counted(monkeypatch, seconds, *, every=None, steps=40, fail_at=None):
    """Trains with such a clock; returns the chunks, the events and the variable."""
    monkeypatch.setattr(pace, "time", Clock(seconds))
    events = []
    total = keras.Variable(np.zeros((), "float32"), trainable=False)

    def step(x):
        if fail_at is not None and int(total) == fail_at:
            raise KeyError("mine")
        total.assign_add(keras.ops.sum(x))
        return {"value": keras.ops.sum(x) * 1, "total": total * 1}

    loop = ol.Loop(total=total, observers=[events.append], compile=fail_at is None)
    data = ol.Batches(np.ones((steps, 1), "float32"), batch_size=1)
    chunks = []
    try:
        for epoch in loop.epochs(1):
            chunks.extend(epoch.train(step, data, every=every))
    finally:
        counted.loop, counted.events, counted.total = loop, events, float(total)
    return chunks


def told(looks):
    return [
        e.batch for e in counted.events if isinstance(e, ChunkDone) and e.looks is looks
    ]


def test_a_long_chunk_is_one_chunk_for_the_user(monkeypatch):
    (chunk,) = counted(monkeypatch, 0.4)
    assert chunk.batch == chunk.step == 40
    assert chunk.steps["total"].tolist() == list(range(1, 41))
    assert chunk.mean["value"] == 1
    assert counted.total == 40
    assert told(looks=True) == [40]


def test_observers_are_told_within_it(monkeypatch):
    counted(monkeypatch, 0.4)
    within = told(looks=False)
    assert len(within) > 3
    assert within == sorted(set(within))
    assert max(within) <= 40


def test_a_fast_one_is_not_cut(monkeypatch):
    counted(monkeypatch, 1e-6)
    assert told(looks=False) == []


@pytest.mark.in_turn
@pytest.mark.parametrize("seconds", [1e-6, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("every", [None, 1, 7])
def test_looks_come_where_they_are_due_whatever_the_clock_says(
    monkeypatch, seconds, every
):
    chunks = counted(monkeypatch, seconds, every=every)
    due = [40] if every is None else [*range(every, 40, every), 40]
    assert [chunk.batch for chunk in chunks] == due
    joined = np.concatenate([chunk.steps["total"] for chunk in chunks])
    assert joined.tolist() == list(range(1, 41))


def test_after_an_error_the_state_is_that_of_the_last_stretch(monkeypatch):
    with pytest.raises(KeyError, match="mine"):
        counted(monkeypatch, 0.4, fail_at=30)
    (failed,) = (e for e in counted.events if isinstance(e, Failed))
    assert counted.total == counted.loop.step == failed.step
    assert 0 < failed.step <= 30
    assert counted.loop.history.steps["train_total"].tolist() == list(
        range(1, failed.step + 1)
    )


def test_a_validation_is_told_of_within(monkeypatch):
    monkeypatch.setattr(pace, "time", Clock(0.4))
    events = []
    data = ol.Batches(np.arange(40.0), batch_size=1)
    loop = ol.Loop(observers=[events.append])
    assert loop.validate(keras.ops.mean, data) == {"loss": 19.5}
    batches = [e.batch for e in events if isinstance(e, ChunkDone)]
    assert len(batches) > 3
    assert batches[-1] == 40


def test_a_piece_is_what_is_left_of_the_stretch_and_at_least_a_step():
    speed = pace.Pace()
    speed.learn(steps=10, seconds=1.0)
    assert [speed.room(done) for done in (0, 4, 9, 10)] == [9, 5, 0, 0]
    speed.learn(steps=1, seconds=5.0)
    assert [speed.room(done) for done in (0, 1)] == [1, 0]
    speed.learn(steps=10, seconds=0.0)
    assert speed.room(0) > 1000


def test_a_stretch_ends_after_its_steps_also_where_the_clock_stands_still(monkeypatch):
    plain = pace.Pace.room

    def room(self, done):
        self.learn(steps=10, seconds=1.0)
        return plain(self, done)

    monkeypatch.setattr(pace.Pace, "room", room)
    (chunk,) = counted(monkeypatch, 0.0)
    assert chunk.batch == 40
    assert told(looks=False) == [9, 18, 27, 36]
