"""A user's value in an error: one line, however large it is."""

import numpy as np
import pytest

from ownloop import Batches, Loop, every, minutes
from ownloop.checkpoints.exact_json import encode
from ownloop.data.feed import check_steps
from ownloop.errors import OwnloopError
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


LONG = np.zeros((300, 2))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: Batches(LONG, batch_size=LONG),
        lambda: Loop(observers=LONG),
        lambda: Loop(observers=[LONG]),
        lambda: Loop(nonfinite=LONG),
        lambda: Loop(folder="never", keep=LONG),
        lambda: Loop(folder="never", save=LONG),
        lambda: Loop().epochs(LONG),
        lambda: Loop().validate(LONG, []),
        lambda: Loop().validate(print, "words " * 300),
        lambda: every(LONG),
        lambda: minutes([1] * 300),
        lambda: check_steps([1] * 300),
        lambda: encode({"array": LONG}, what="memory"),
    ],
)
def test_errors_keep_to_it(misuse):
    with pytest.raises(OwnloopError) as caught:
        misuse()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 450
