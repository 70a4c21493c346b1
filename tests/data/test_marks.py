"""Where a stream was read to, and how one is read again up to there."""

import time

import numpy as np
import pytest

from marked_streams import Stream, take
from ownloop.data import Bookmark, Marks, Openings, StreamFeed
from ownloop.data.bookmark import add_to_digest


def test_a_bookmark_knows_the_generators_that_the_stream_drew_from(
    generator, open_feed
):
    generator.state = 6
    feed = open_feed()
    assert take(feed, 3) == [70, 71, 72]
    place = feed.bookmark(2)
    assert (place.batches, place.generators, place.ahead) == (2, {"one": 6}, {})
    assert feed.bookmark(3).digest != place.digest


def test_before_the_first_batch_the_place_is_where_the_feed_began(open_feed):
    assert open_feed().bookmark(0) is None
    start = Bookmark(2, 99)
    assert open_feed(start).bookmark(0) is start


def test_another_process_goes_on_behind_the_bookmark(generator, open_feed, complaints):
    first = open_feed()
    take(first, 2)
    place = first.bookmark(2)
    generator.state = 50  # What other code has drawn since.
    feed = open_feed(place)
    assert take(feed, 9) == [12, 13, 14]
    assert generator.state == 50
    assert feed.bookmark(1) == Bookmark(3, feed.bookmark(1).digest, 1, {"one": 0})
    assert complaints == []


@pytest.mark.parametrize("read", [2, 4])
def test_what_was_drawn_to_read_ahead_is_drawn_again(
    generator, open_feed, complaints, read
):
    def stream():
        return Stream(generator, at_each=True)

    whole = take(open_feed(stream=stream()), 5)
    end = generator.state
    generator.state = 0
    first = open_feed(stream=stream())
    take(first, read)
    place = first.bookmark(2)
    assert place.ahead == ({"one": 3} if read > 2 else {})
    feed = open_feed(place, stream=stream())
    assert take(feed, 9) == whole[2:]
    assert (generator.state, complaints) == (end, [])


def test_between_two_passes_what_others_have_drawn_counts(generator, open_feed):
    first = open_feed(steps=2, stream=Stream(generator, at_each=True))
    take(first, 2)
    generator.state = 50
    feed = open_feed(first.bookmark(2), steps=2, stream=Stream(generator, at_each=True))
    assert take(feed, 2) == pytest.approx([12.51, 13.52])


def test_so_at_the_next_opening_and_at_the_end(generator, open_feed):
    first = open_feed(steps=8)
    assert take(first, 8) == [10, 11, 12, 13, 14, 20, 21, 22]
    place = first.bookmark(4)
    assert place.ahead == {"one": 1}
    assert take(open_feed(place, steps=4), 4) == [14, 20, 21, 22]
    generator.state = 99
    assert take(open_feed(first.bookmark(5), steps=3), 3) == [20, 21, 22]


def test_that_a_thread_has_come_to_the_end_is_no_news(generator, open_feed):
    """Its reader may leave before it comes there, and may not."""
    openings = Openings()
    feed = open_feed(openings=openings, ahead=9)
    take(feed, 5)
    time.sleep(0.05)
    assert openings.whole is None
    assert take(feed, 1) == []
    assert openings.whole == (5, feed.bookmark(5).digest)


def test_what_may_not_be_gone_on_with_is_not_marked(generator):
    marks = Marks(generator, openings=Openings(), float_type="float32", differs=None)
    feed = StreamFeed(Stream(generator), float_type="float32", marks=marks)
    with feed:
        assert take(feed, 5) == [10, 11, 12, 13, 14]
        assert feed.bookmark(3) is None


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
    feed = open_feed(Bookmark(batches, 99))
    take(feed, 9)
    (complaint,) = complaints
    assert f"of type Stream, gave other batches when the first {batches} " in complaint


def test_an_error_of_the_stream_is_the_users_own(open_feed):
    class Broken(Exception):
        pass

    def broken():
        yield np.ones(1)
        raise Broken

    feed = open_feed(Bookmark(3, 99), stream=broken())
    with pytest.raises(Broken):
        feed.take(1)


class Flickering(Stream):
    """Fails behind its third batch, some times."""

    def __init__(self, generator, *, times):
        super().__init__(generator)
        self.times = times

    def __iter__(self):
        for i, batch in enumerate(super().__iter__()):
            if i == 3 and self.times:
                self.times -= 1
                raise OSError("away")
            yield batch


@pytest.mark.parametrize("ahead", [0, 5])
def test_a_stream_that_failed_goes_on_in_the_next_pass(generator, open_feed, ahead):
    feed = open_feed(steps=7, stream=Flickering(generator, times=2), ahead=ahead)
    assert take(feed, 1) == [10]
    time.sleep(0.05)  # It has failed, where it is read ahead.
    feed.begin(6)
    assert take(feed, 2) == [11, 12]
    for _ in range(2):
        for _ in range(2):
            with pytest.raises(OSError, match="away"):
                take(feed, 1)
        generator.draw()  # What others draw stays drawn.
        feed.begin(4)
    assert take(feed, 4) == [13, 14, 40, 41]
    later = open_feed(feed.bookmark(6), steps=4)
    assert take(later, 4) == [41, 42, 43, 44]


def test_one_that_can_be_read_once_has_failed_for_good(generator, open_feed):
    feed = open_feed(steps=5, stream=iter(Flickering(generator, times=1)))
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            take(feed, 5)
        feed.begin(5)


def test_a_stream_that_is_left_is_not_closed(open_feed):
    def endless():
        number = 0
        while True:
            number += 1
            yield np.array([number])

    stream = endless()
    with open_feed(stream=stream) as feed:
        assert take(feed, 2) == [1, 2]
    assert next(stream)[0] > 2


def test_a_digest_takes_every_value_into_account():
    images = np.random.default_rng(0).integers(0, 255, (256, 28, 28), "uint8")
    images[:, :, 0] = images[:, 0] = 0
    shuffled = images[::-1]
    assert add_to_digest(0, [images]) != add_to_digest(0, [shuffled])
