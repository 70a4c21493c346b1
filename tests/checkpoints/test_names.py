"""The order of checkpoints is that of their numbers."""

import random

import pytest

from ownloop.checkpoints import names
from ownloop.checkpoints.names import Position


def test_a_position_comes_back_from_its_name():
    for position in (Position(0), Position(9, 2), Position(10**18 - 1, 999_999_999)):
        assert names.parse(str(position)) == position


def test_names_are_ordered_by_step_then_by_number_and_never_as_words():
    right = ["step-0", "step-9", "step-9.2", "step-9.10", "step-10", "step-100"]
    shuffled = random.Random(0).sample(right, len(right))
    assert sorted(shuffled, key=names.parse) == right


@pytest.mark.parametrize(
    "name",
    [
        *[
            "step-",
            "step-01",
            "step-1.1",
            "step-1.0",
            "step-1.02",
            "step--1",
            "step-1 ",
        ],
        *["step-1\n", "Step-1", "xstep-1", "step-1.", "step-" + "9" * 19, "../step-1"],
        "step-１",  # noqa: RUF001  a digit of another alphabet
    ],
)
def test_any_other_name_is_none(name):
    assert names.parse(name) is None


def test_names_of_unfinished_work_differ_at_each_call_and_are_known_again():
    given = {names.unfinished("step-1") for _ in range(9)}
    given |= {names.trash("step-1.2") for _ in range(9)}
    assert len(given) == 18
    assert all(names.is_leftover(name) and names.parse(name) is None for name in given)


@pytest.mark.parametrize(
    "name", [".tmp", ".tmp-mine", ".trash-1", "tmp-step-1-2-" + "0" * 16]
)
def test_what_somebody_else_left_is_no_leftover_of_ours(name):
    assert not names.is_leftover(name)
