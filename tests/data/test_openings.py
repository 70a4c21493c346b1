"""What is known of how a stream was opened."""

import pytest

from ownloop.data import Openings


def opened(*firsts):
    openings = Openings()
    for first in firsts:
        openings.note(first)
    return openings


def later(openings):
    return Openings.from_json(openings.to_json())


@pytest.mark.parametrize(
    ("firsts", "kept"),
    [
        ((1,), [1]),
        ((1, 1, 1, 1), [1, 1]),
        ((1, 2, 1), [1, 2, 1]),
        ((1, 1, 1, 2, 1), [1, 1, 1, 2, 1]),
        ((None, None, None), [None, None]),
    ],
)
def test_all_first_batches_are_known_in_as_few_words_as_it_takes(firsts, kept):
    openings = opened(*firsts)
    assert (openings.count, openings.firsts) == (len(firsts), kept)
    assert openings.varies == (len(set(firsts)) > 1)


def test_in_another_process_it_is_behind_until_it_is_opened():
    assert not opened().is_behind
    assert not opened(1).is_behind
    openings = later(opened(1, 2))
    assert openings.is_behind
    openings.note(3)
    assert (openings.count, openings.is_behind) == (3, False)


def test_who_goes_back_to_an_opening_counts_from_there():
    openings = later(opened(1, 2, 3))
    openings.go_back(2)
    assert (openings.count, openings.firsts, openings.is_behind) == (2, [1, 2], False)


def test_another_object_in_its_place_is_opened_as_if_nothing_had_been():
    openings = opened(1, 2).another()
    openings.note(1)
    assert not later(openings).is_behind


def test_all_of_it_is_known_in_another_process():
    openings = opened(1)
    openings.whole, openings.is_guess = (3, 99), True
    again = later(openings)
    assert (again.whole, again.is_guess) == ((3, 99), True)
    again.note(2)
    assert again.whole is None
