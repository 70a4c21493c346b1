"""A user's value in an error: one line, however large it is."""

import numpy as np
import pytest

from ownloop.shown import shown


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no words for this")


@pytest.mark.parametrize(
    ("value", "words"),
    [(3, "3"), ("a  b", "'a  b'"), (None, "None"), ((1, 2.5), "(1, 2.5)")],
)
def test_a_short_value_is_shown_as_python_shows_it(value, words):
    assert shown(value) == words


@pytest.mark.parametrize(
    "value",
    [
        np.arange(200.0).reshape(100, 2),
        [np.zeros((20, 2))] * 20,
        {n: list(range(1000)) for n in range(1000)},
        "word " * 1000,
        10**1000,
    ],
    ids=["array", "list of arrays", "dict", "text", "number"],
)
def test_a_long_value_is_cut_to_a_line(value):
    words = shown(value)
    assert len(words) <= 80
    assert "\n" not in words
    assert "..." in words


def test_a_value_whose_repr_fails_is_shown_by_its_type():
    assert shown(Broken()).startswith("<Broken instance")
