"""Where a stream was read to, and how one is read again up to there."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from ownloop.data import Bookmark, Marks, Openings, StreamFeed
from ownloop.data.bookmark import add_to_digest


class OneGenerator:
    """Stands for all generators of a process: one, whose state is what it has drawn."""

    def __init__(self):
        self.state = 0

    def draw(self):
        self.state += 1
        return self.state

    def read(self):
        return {"one": self.state}

    def glance(self):
        return ()  # of the stream's own, of which there is none

    def write(self, states):
        self.state = states.get("one", self.state)

    def drawn(self, before, now):
        return {name for name in now if before.get(name, now[name]) != now[name]}

    def pack(self, states):
        return dict(states)

    unpack = pack


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


def soon(condition):
    """Wait for what the reading thread does by itself."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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


class Turning:
    """Three batches, which depend on how often it was opened."""

    def __init__(self, begin=lambda times: times):
        self.begin, self.times = begin, 0

    def __iter__(self):
        self.times += 1
        first = self.begin(self.times)
        return iter([np.array([first]), np.array([first + 5]), np.array([7])])


def later(openings):
    return Openings.from_json(openings.to_json())


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_stream_comes_to_its_next_opening(open_feed, complaints, times):
    openings, stream = Openings(), Turning()
    for number in range(1, times + 1):
        found = take(open_feed(stream=stream, openings=openings), 9)
        assert found == [number, number + 5, 7]
    openings = later(openings)
    feed = open_feed(stream=Turning(), openings=openings)
    assert take(feed, 9) == [times + 1, times + 6, 7]
    assert complaints == []
    assert openings.is_guess == (times == 1)


def test_one_that_does_not_turn_here_is_taken_as_it_is(open_feed, complaints):
    openings = Openings()
    for first in (1, 2, 1):
        take(open_feed(stream=Turning(lambda _, f=first: f), openings=openings), 9)
    feed = open_feed(stream=Turning(lambda _: 1), openings=later(openings))
    assert take(feed, 9) == [1, 6, 7]
    assert complaints == []


def test_one_that_turns_otherwise_is_told_of(open_feed, complaints):
    openings, stream = Openings(), Turning()
    for _ in range(3):
        take(open_feed(stream=stream, openings=openings), 9)
    take(open_feed(stream=Turning(lambda n: n * n), openings=later(openings)), 9)
    (complaint,) = complaints
    assert "come in another order each time they are opened" in complaint


def test_an_opening_in_the_middle_of_the_run_is_come_to(open_feed, complaints):
    openings, stream = Openings(), Turning()
    for _ in range(2):
        take(open_feed(stream=stream, openings=openings), 9)
    third = open_feed(stream=stream, openings=openings)
    take(third, 2)
    place, openings = third.bookmark(1), later(openings)
    feed = open_feed(place, stream=Turning(), openings=openings)
    assert take(feed, 9) == [8, 7]
    assert (openings.count, complaints) == (3, [])


class OwnState:
    """Draws from the process' generator, and from one that nobody knows."""

    def __init__(self, generator):
        self.generator, self.hidden = generator, 0

    def __iter__(self):
        self.hidden += 1
        first = 100 * self.generator.draw() + self.hidden
        return iter([np.array([first]), np.array([first])])


def test_a_state_that_nobody_knows_is_told_of(generator, open_feed, complaints):
    openings = Openings()
    take(open_feed(stream=OwnState(generator), openings=openings), 9)
    take(open_feed(stream=OwnState(generator), openings=later(openings)), 9)
    (complaint,) = complaints
    assert "give other batches each time, from equal random numbers" in complaint


def test_a_digest_takes_every_value_into_account():
    images = np.random.default_rng(0).integers(0, 255, (256, 28, 28), "uint8")
    images[:, :, 0] = images[:, 0] = 0
    shuffled = images[::-1]
    assert add_to_digest(0, [images]) != add_to_digest(0, [shuffled])
