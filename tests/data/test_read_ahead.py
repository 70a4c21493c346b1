"""Who drew from a generator while a stream was read ahead."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from marked_streams import Stream, soon, take
from ownloop.data import Bookmark
from ownloop.data.bookmark import add_to_digest


def test_a_stream_that_draws_for_its_batches_is_not_read_ahead(generator, open_feed):
    feed = open_feed(stream=Stream(generator, at_each=True), ahead=None)
    for number in range(1, 5):
        take(feed, 1)
        time.sleep(0.05)
        assert generator.state == number + 1


class Halting:
    """Eight batches, of which the seventh waits, and perhaps draws."""

    def __init__(self, generator, *, draws):
        self.generator, self.draws, self.given = generator, draws, 0
        self.comes, self.may_come = threading.Event(), threading.Event()

    def __iter__(self):
        for i in range(8):
            self.given += 1
            if i == 6:
                self.comes.set()
                self.may_come.wait()
            drawn = self.generator.draw() if self.draws and i == 6 else 0
            yield np.array([100 * i + drawn])


@pytest.fixture
def read_ahead(generator, open_feed):
    """Use five batches, draw as the seventh is read, and behind it; give the place."""

    def read_ahead(*, draws, meanwhile, since=0):
        stream = Halting(generator, draws=draws)
        feed = open_feed(stream=stream, ahead=None)
        assert take(feed, 4) == [0, 100, 200, 300]
        assert take(feed, 1) == [400]
        assert stream.comes.wait(5)
        for _ in range(meanwhile):
            generator.draw()
        stream.may_come.set()
        while not (place := feed.bookmark(5)).unsure:
            time.sleep(0.01)
        for _ in range(since):
            generator.draw()
        return place

    return read_ahead


@pytest.fixture
def go_on(generator, open_feed):
    """Open such a stream as another process that begins at a place."""

    def go_on(place, *, draws):
        stream = Halting(generator, draws=draws)
        stream.may_come.set()
        return open_feed(place, stream=stream)

    return go_on


@pytest.mark.parametrize("since", [0, 3])
@pytest.mark.parametrize("draws", [False, True])
def test_whoever_drew_while_it_was_read_ahead_it_is_not_drawn_again(
    generator, complaints, read_ahead, go_on, draws, since
):
    place = read_ahead(draws=draws, meanwhile=not draws, since=since)
    assert (place.ahead, place.unsure, place.reach) == ({"one": 0}, {"one": 1}, 2)
    feed = go_on(place, draws=draws)
    assert take(feed, 1) == [500]
    assert generator.state == 1 + since
    # Killed once more before what was drawn is used, and once behind it.
    feed = go_on(feed.bookmark(1), draws=draws)
    assert take(feed, 1) == [600 + draws]
    assert take(go_on(feed.bookmark(1), draws=draws), 9) == [700]
    assert take(feed, 9) == [700]
    assert (generator.state, complaints) == (1 + since, [])


def test_where_both_drew_at_once_that_is_told(complaints, read_ahead, go_on):
    take(go_on(read_ahead(draws=True, meanwhile=1), draws=True), 1)
    (complaint,) = complaints
    assert "of type Halting, and the script drew from one at the same time" in complaint
    assert "give one of them a generator of its own" in complaint


@pytest.fixture
def drawn_for_each(generator, open_feed):
    """Draw behind each of six batches, and as the seventh is read ahead."""

    def drawn_for_each(*, draws=False):
        stream = Halting(generator, draws=draws)
        feed = open_feed(stream=stream, ahead=None)
        for i in range(6):
            assert take(feed, 1) == [100 * i]
            generator.draw()
        assert stream.comes.wait(5)
        generator.draw()
        stream.may_come.set()
        return feed, stream

    return drawn_for_each


def test_what_the_script_draws_at_each_step_is_not_taken_for_the_streams(
    generator, drawn_for_each, go_on, complaints
):
    feed, stream = drawn_for_each()
    soon(lambda: stream.given == 8)  # It is read ahead as before.
    soon(lambda: feed.bookmark(6).unsure)
    place = feed.bookmark(6)
    assert (place.ahead.keys(), place.unsure) == ({"one"}, {"one": 7})
    assert (place.generators, place.reach) == ({}, 1)
    assert take(feed, 1) == [600]
    after = feed.bookmark(7)
    assert (after.generators, after.ahead, after.unsure) == ({}, {}, {})
    again = go_on(place, draws=False)
    assert take(again, 1) == [600]
    assert again.bookmark(1) == after
    assert (generator.state, complaints) == (7, [])


def test_a_stream_that_begins_to_draw_what_the_script_draws_is_told_of(
    drawn_for_each, go_on, complaints
):
    feed, _ = drawn_for_each(draws=True)
    take(feed, 1)
    assert take(go_on(feed.bookmark(7), draws=True), 1) == [700]
    (complaint,) = complaints
    assert "gave other batches when the first 7 were read again" in complaint


@pytest.mark.parametrize("is_resumed", [False, True])
def test_nothing_is_read_ahead_before_it_was_seen_what_the_script_draws(
    generator, open_feed, is_resumed
):
    class Counting:
        given = 0

        def __iter__(self):
            for i in range(9):
                self.given += 1
                yield np.array([i])

    stream, place = Counting(), None
    if is_resumed:
        earlier = open_feed(stream=Counting())
        take(earlier, 2)
        place = earlier.bookmark(2)
    feed = open_feed(place, stream=stream, ahead=None)
    first, count = (2, 3) if is_resumed else (0, 3)
    take(feed, count)
    time.sleep(0.2)  # The thread comes to rest.
    assert stream.given == first + count
    take(feed, 1)
    soon(lambda: stream.given == first + count + 3)


class Opening(Halting):
    """As above, and draws where it is opened, as a shuffle does."""

    def __iter__(self):
        self.generator.draw()
        return super().__iter__()


def test_what_a_stream_drew_where_it_was_opened_it_may_draw_again(generator, open_feed):
    stream = Opening(generator, draws=True)
    feed = open_feed(stream=stream, ahead=None)
    for i in range(6):
        assert take(feed, 1) == [100 * i]
        generator.draw()
    assert stream.comes.wait(5)
    stream.may_come.set()
    assert take(feed, 1) == [600 + 8]
    time.sleep(0.05)  # It is not read ahead any more.
    assert stream.given == 7


class ResettingItself:
    """Three batches that come again after the end, if anybody asks."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.place = (self.place + 1) % 4
        if self.place == 0:
            raise StopIteration
        return np.array([self.place])


def test_a_stream_whose_end_was_read_ahead_ends_there(open_feed, complaints):
    place = Bookmark(2, add_to_digest(0, [np.array([1]), np.array([2])]))
    place = dataclasses.replace(place, ahead={"one": 0}, unsure={"one": 1}, reach=2)
    assert take(open_feed(place, stream=ResettingItself()), 9) == [3]
    assert complaints == []


class Shapes:
    """Twelve batches of which no two that follow each other have one shape."""

    given = 0

    def __iter__(self):
        for i in range(12):
            self.given += 1
            yield np.full(1 + i % 2, i)


def test_batches_of_changing_shapes_are_read_ahead_too(open_feed):
    stream = Shapes()
    feed = open_feed(stream=stream, ahead=None)
    for _ in range(3):
        assert feed.take(4).count == 1
        time.sleep(0.1)  # The thread comes to rest.
    soon(lambda: stream.given >= 8)


def test_nothing_is_read_beyond_a_batch_of_another_shape_before_it_is_asked_for(
    open_feed,
):
    for _ in range(200):
        stream = Shapes()
        with open_feed(stream=stream, ahead=None) as feed:
            feed.take(4)
            time.sleep(0.0005)
            assert stream.given == 2
