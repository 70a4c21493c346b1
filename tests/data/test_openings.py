"""How often a stream was opened in a run, and where another process must go on."""

import pytest

from ownloop.data import Openings


def opened(*digests):
    """Give what another process knows of an object that was opened so often."""
    openings = Openings()
    for digest in digests:
        openings.note(digest)
    return Openings.from_json(openings.to_json())


@pytest.mark.parametrize(
    ("before", "digest", "expected"),
    [
        ((), 1, False),  # opened for the first time
        ((1,), 1, True),  # perhaps others come the next time: that must be tried
        ((1, 2), 1, True),
        ((1, 1), 1, False),  # always the same
        ((1, 1, 2), 1, True),
        ((1, 2), 3, False),  # other data
        ((None, None), 1, False),  # from generators of random numbers
        ((1, None), 1, False),
    ],
)
def test_a_stream_goes_on_where_it_began_as_the_run_did_and_varies(
    before, digest, expected
):
    assert opened(*before).must_go_on(digest) is expected


def test_that_is_asked_once_in_a_process():
    openings = opened(1, 2)
    openings.note(3)
    assert (openings.count, openings.must_go_on(1)) == (3, False)


def test_another_object_in_its_place_is_opened_as_if_nothing_had_been():
    openings = opened(1, 2).another()
    openings.note(1)
    assert not Openings.from_json(openings.to_json()).must_go_on(1)


def test_who_goes_back_counts_from_there():
    openings = opened(1, 2, 3)
    openings.go_back(2, is_open=False)
    assert (openings.count, openings.is_closed_here) == (2, True)
    openings.go_back(2, is_open=True)
    openings.note(3)
    assert (openings.count, openings.is_closed_here) == (3, False)
