"""The thread that reads ahead: what it leaves out, what it sees, and how it ends."""

import contextvars
import threading

import numpy as np
import pytest

from ownloop.data import prefetch
from ownloop.data.prefetch import Prefetch


@pytest.fixture
def reading():
    """Begin to read an iterable ahead, and end all such threads with the test."""
    begun = []

    def reading(iterable, **options):
        options = {"left": None, "ahead": None, **options}
        begun.append(Prefetch(iterable, float_type="float32", **options))
        return begun[-1]

    yield reading
    for one in begun:
        one.close()


def numbers(buffer):
    found = []
    while (segment := buffer.take(2)) is not None:
        found += segment.leaves[0].ravel().tolist()
    return found


def test_the_first_batches_are_left_out_once(reading):
    data = [[0], [1], [2], [3]]
    assert numbers(reading(data, skip=3)) == [3]
    assert numbers(reading(data, skip=3, left=6)) == [3, 0, 1, 2, 3, 0]


def test_where_all_batches_are_left_out_the_data_are_not_empty(reading):
    assert numbers(reading([[0], [1]], skip=2)) == []


def test_the_iterable_sees_the_context_of_its_reader(reading):
    word = contextvars.ContextVar("word", default=0)

    def stream():
        yield np.array([word.get()])

    word.set(7)
    assert numbers(reading(stream())) == [7]


def test_it_is_over_when_the_reader_was_told(reading):
    buffer = reading([[0], [1]])
    assert buffer.take(2).count == 2
    assert not buffer.is_over
    assert buffer.take(2) is None
    assert buffer.is_over


def test_who_joins_waits_for_a_batch_that_is_being_read(reading, monkeypatch):
    monkeypatch.setattr(prefetch, "_PATIENCE_SECONDS", 0)
    asked, gate, read = threading.Event(), threading.Event(), []

    def stream():
        yield np.zeros(1)
        asked.set()
        gate.wait(10)
        read.append(True)
        yield np.zeros(1)

    buffer = reading(stream(), ahead=2)
    buffer.take(1)
    assert asked.wait(10)
    buffer.close()
    assert not read
    gate.set()
    buffer.join()
    assert read
