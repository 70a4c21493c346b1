"""Where a stream was read to, and how one is read again up to there."""

import numpy as np
import pytest

from ownloop.data import Bookmark, Marks, Openings, StreamFeed


class OneGenerator:
    """Stands for all generators of a process: one, whose state is what it has drawn."""

    def __init__(self):
        self.state = 0

    def draw(self):
        self.state += 1
        return self.state

    def read(self):
        return {"one": self.state}

    def write(self, states):
        self.state = states.get("one", self.state)

    def drawn(self, before, now):
        return {name for name in now if before.get(name) != now[name]}


class Stream:
    """Five batches: numbers that depend on what was drawn when it was opened."""

    def __init__(self, generator, *, at_each=False):
        self.generator, self.at_each = generator, at_each

    def __iter__(self):
        first = 10 * self.generator.draw()
        for i in range(5):
            drawn = self.generator.draw() / 100 if self.at_each else 0
            yield np.array([first + i + drawn])


@pytest.fixture
def generator():
    return OneGenerator()


@pytest.fixture
def complaints():
    return []


@pytest.fixture
def open_feed(generator, complaints):
    """Open a stream as one process, or as another one that goes on from a bookmark."""
    feeds = []

    def open_feed(
        start=None, *, steps=None, stream=None, ahead=0, openings=None, **options
    ):
        marks = Marks(
            generator,
            openings=openings or Openings(),
            float_type="float32",
            differs=complaints.append,
            start=start,
            **options,
        )
        stream = stream or Stream(generator)
        feed = StreamFeed(
            stream, float_type="float32", steps=steps, ahead=ahead, marks=marks
        )
        feeds.append(feed)
        return feed

    yield open_feed
    for feed in feeds:
        feed.close()


def take(feed, count):
    found = []
    while len(found) < count and (segment := feed.take(count - len(found))) is not None:
        found += segment.leaves[0].ravel().tolist()
    return found


def test_a_bookmark_knows_the_generators_that_the_stream_drew_from(
    generator, open_feed
):
    generator.state = 6
    feed = open_feed()
    assert take(feed, 3) == [70, 71, 72]
    place = feed.bookmark(2)
    assert (place.batches, place.generators, place.next) == (2, {"one": 6}, {})
    assert feed.bookmark(3).digest != place.digest


def test_before_the_first_batch_the_place_is_where_the_feed_began(open_feed):
    assert open_feed().bookmark(0) is None
    start = Bookmark(2, 99, {})
    assert open_feed(start).bookmark(0) is start


def test_another_process_goes_on_behind_the_bookmark(generator, open_feed, complaints):
    first = open_feed()
    take(first, 2)
    place = first.bookmark(2)
    generator.state = 50  # What other code has drawn since.
    feed = open_feed(place, is_within=True)
    assert take(feed, 9) == [12, 13, 14]
    assert generator.state == 50
    assert feed.bookmark(1) == Bookmark(3, feed.bookmark(1).digest, {"one": 0})
    assert complaints == []


def test_a_stream_that_draws_for_each_batch_goes_on_with_its_own_draws(
    generator, open_feed, complaints
):
    whole = take(open_feed(stream=Stream(generator, at_each=True)), 5)
    end = generator.state
    generator.state = 0
    first = open_feed(stream=Stream(generator, at_each=True))
    take(first, 2)
    place = first.bookmark(2)
    generator.state = 50
    feed = open_feed(place, is_within=True, stream=Stream(generator, at_each=True))
    assert take(feed, 9) == whole[2:]
    assert (generator.state, complaints) == (end, [])


def test_between_two_passes_what_others_have_drawn_counts(generator, open_feed):
    first = open_feed(steps=2, stream=Stream(generator, at_each=True))
    take(first, 2)
    generator.state = 50
    feed = open_feed(first.bookmark(2), steps=2, stream=Stream(generator, at_each=True))
    assert take(feed, 2) == pytest.approx([12.51, 13.52])


def test_what_was_drawn_ahead_is_drawn_again(generator, open_feed):
    first = open_feed(steps=8, ahead=8)
    assert take(first, 8) == [10, 11, 12, 13, 14, 20, 21, 22]
    place = first.bookmark(4)
    assert place.next == {"one": 1}
    assert take(open_feed(place, steps=4, is_within=True), 4) == [14, 20, 21, 22]
    assert take(open_feed(first.bookmark(5), steps=3, is_over=True), 3) == [20, 21, 22]


def test_places_of_earlier_readings_are_forgotten(generator, open_feed):
    feed = open_feed(steps=12)
    take(feed, 12)
    assert [feed.bookmark(used).generators for used in (1, 6, 11)] == [
        {"one": 0},
        {"one": 1},
        {"one": 2},
    ]


@pytest.mark.parametrize("batches", [2, 9])
def test_other_batches_are_told_of_once(open_feed, complaints, batches):
    feed = open_feed(Bookmark(batches, 99, {}))
    take(feed, 9)
    (complaint,) = complaints
    assert f"of type Stream, gave other batches when the first {batches} " in complaint


def test_an_error_of_the_stream_is_the_users_own(open_feed, generator):
    class Broken(Exception):
        pass

    def broken():
        yield np.ones(1)
        raise Broken

    feed = open_feed(Bookmark(3, 99, {}), stream=broken())
    with pytest.raises(Broken):
        feed.take(1)
