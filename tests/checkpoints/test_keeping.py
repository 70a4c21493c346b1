"""Which checkpoints are kept."""

import math

import numpy as np
import pytest

from ownloop.checkpoints import Keep, names_to_keep
from ownloop.errors import CheckpointError

NAMES = [f"step-{step}" for step in range(1, 7)]


def test_the_last_ones_are_kept_in_their_order():
    assert names_to_keep(NAMES, Keep(last=2)) == ["step-5", "step-6"]
    assert names_to_keep(NAMES[:1], Keep(last=3)) == ["step-1"]
    assert names_to_keep([], Keep()) == []


def test_the_best_are_kept_on_top_of_the_last():
    values = dict(zip(NAMES, [3.0, 1.0, 2.0, 5.0, 4.0, 6.0], strict=True))
    low = Keep(last=1, best=2, by="loss")
    high = Keep(last=1, best=2, by="accuracy", highest=True)
    assert names_to_keep(NAMES, low, values) == ["step-2", "step-3", "step-6"]
    assert names_to_keep(NAMES, high, values) == ["step-4", "step-6"]


def test_of_equal_values_the_older_is_kept():
    values = dict.fromkeys(NAMES, 1.0)
    for highest in (False, True):
        keep = Keep(last=1, best=1, by="loss", highest=highest)
        assert names_to_keep(NAMES, keep, values) == ["step-1", "step-6"]


def test_what_has_no_value_is_never_the_best():
    values = {"step-1": math.nan, "step-3": 9.0, "step-0": -9.0}
    keep = Keep(last=1, best=3, by="loss")
    assert names_to_keep(NAMES, keep, values) == ["step-3", "step-6"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"last": 0},
            "last=0 and best=0. Expected whole numbers of at least 1 and at least 0. "
            "Keep one",
        ),
        ({"best": -1}, "last=3 and best=-1. Expected"),
        ({"last": 2.5}, "last=2.5 and best=0. Expected whole numbers"),
        ({"last": True}, "last=True and best=0. Expected whole numbers"),
        ({"last": "3"}, "last='3' and best=0. Expected whole numbers"),
        ({"last": None}, "last=None and best=0. Expected whole numbers"),
        ({"best": 1.0, "by": "loss"}, "last=3 and best=1.0. Expected whole numbers"),
        ({"best": True, "by": "loss"}, "last=3 and best=True. Expected whole numbers"),
        ({"best": math.nan, "by": "loss"}, "best=nan. Expected whole numbers"),
        ({"best": 1, "by": 3}, "best=1 and by=3. Expected both or neither"),
        ({"best": 1}, "best=1 and by=None. Expected both or neither. Name the value"),
        ({"by": "loss"}, "best=0 and by='loss'. Expected both or neither"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(CheckpointError, match=message):
        Keep(**options)


def test_numpy_integers_are_kept_as_pythons():
    keep = Keep(last=np.int64(2), best=np.array(1), by="loss")
    assert keep == Keep(last=2, best=1, by="loss")
    assert (type(keep.last), type(keep.best)) == (int, int)
