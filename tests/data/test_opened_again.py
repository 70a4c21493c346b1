"""Streams that come in another order each time they are opened."""

import numpy as np
import pytest

from marked_streams import take
from ownloop.data import Openings


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
