"""Whether a stream that is opened again gives what it gave in the run."""

import numpy as np
import pytest

from ownloop.data import Bookmark, Openings
from ownloop.data.bookmark import add_to_digest
from ownloop.data.opener import END, Opener, open_stream


class Turning:
    """For each opening the numbers of its batches; the last ones stay."""

    def __init__(self, *rounds):
        self.rounds, self.times = rounds, 0

    def __iter__(self):
        self.times += 1
        numbers = self.rounds[min(self.times, len(self.rounds)) - 1]
        return iter([np.array([number]) for number in numbers])


class NoGenerators:
    """Stands for a process whose generators nobody draws from."""

    def read(self):
        return {}

    def drawn(self, before, now):
        return set()


def digest(*numbers):
    found = 0
    for number in numbers:
        found = add_to_digest(found, [np.array([number])])
    return found


def known(*rounds):
    """Give what another process knows of a stream that gave these batches."""
    openings = Openings()
    for numbers in rounds:
        openings.note(digest(numbers[0]))
    openings.whole = len(rounds[-1]), digest(*rounds[-1])
    return Openings.from_json(openings.to_json())


def opened_as_in_run(stream, openings):
    """Open a stream that draws nothing, and give its batches and the complaint."""
    opener = Opener(NoGenerators(), openings, "float32")
    opened = opener.as_in_run(open_stream(stream), draws=False, start={})
    first = [] if opened.first is END else [opened.first]
    found = [int(batch[0]) for batch in [*first, *opened.iterator]]
    return found, opener.take_complaint()


def test_the_same_batches_are_no_complaint():
    assert opened_as_in_run(Turning((1, 2, 3)), known((1, 2, 3))) == ([1, 2, 3], "")


@pytest.mark.parametrize("others", [(1, 2, 4), (1, 2)], ids=["another", "fewer"])
def test_other_batches_behind_an_equal_first_one_are_told_of(others):
    _, complaint = opened_as_in_run(Turning(others), known((1, 2, 3)))
    assert "of type Turning, do not come again" in complaint


def test_data_that_begin_otherwise_are_the_scripts_choice_and_opened_once():
    stream = Turning((5, 6), (7, 8))
    assert opened_as_in_run(stream, known((1, 2), (3, 4))) == ([5, 6], "")
    assert stream.times == 1


def test_an_opening_without_a_batch_is_counted_and_not_known():
    openings = Openings()
    assert opened_as_in_run(Turning(()), openings) == ([], "")
    assert (openings.count, openings.firsts) == (1, [None])


def test_one_that_turns_and_was_opened_before_the_run_was_taken_back_is_told_of():
    openings = known((1, 2), (3, 4))
    openings.is_lost = True
    _, complaint = opened_as_in_run(Turning((1, 2), (3, 4), (5, 6)), openings)
    assert "come in another order each time they are opened" in complaint


def test_a_stream_that_turns_otherwise_is_opened_no_further_than_that():
    stream = Turning((1, 2), (4, 5), (9, 9), (3, 4))
    openings = known((1, 2), (2, 3), (3, 4), (4, 5))
    opener = Opener(NoGenerators(), openings, "float32")
    opener.go_to(stream, Bookmark(2, digest(4, 5), opening=4))
    assert stream.times == 2
    assert "gave other batches when the first 2 were read again" in (
        opener.take_complaint()
    )


def test_it_turns_also_where_a_generator_was_drawn_from_perhaps_by_others():
    openings = known((1, 2), (2, 3))
    opener = Opener(NoGenerators(), openings, "float32")
    place = Bookmark(1, digest(2), opening=2, generators={"one": 4})
    rest = opener.go_to(Turning((1, 2), (2, 3)), place)
    assert [int(batch[0]) for batch in rest] == [3]
    assert opener.take_complaint() == ""


def test_a_complaint_is_taken_once():
    opener = Opener(NoGenerators(), Openings(), "float32")
    opener.go_to(Turning((1, 2)), Bookmark(1, digest(9)))
    assert opener.take_complaint()
    assert opener.take_complaint() == ""
