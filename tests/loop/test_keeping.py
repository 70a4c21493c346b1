"""How a run is kept: what `Loop` takes for `resume`, `save` and `keep`."""

import numpy as np
import pytest

from ownloop.checkpoints import Keep
from ownloop.clock import SaveEvery, every, minutes
from ownloop.errors import LoopError
from ownloop.loop.keeping import Keeping
from ownloop.loop.loop import Loop


@pytest.mark.parametrize("number", [2, np.int64(2), np.array(2)], ids=repr)
def test_a_whole_number_of_checkpoints_is_kept_as_pythons(number):
    how = Keeping.of(resume=True, save=number, keep=number)
    assert how == Keeping(True, SaveEvery(steps=2), Keep(last=2))
    assert (type(how.save.steps), type(how.keep.last)) == (int, int)


@pytest.mark.parametrize("keep", [0, -1, 2.5, True, "3", None, (3,)], ids=repr)
def test_what_is_no_number_of_checkpoints_is_refused(keep):
    with pytest.raises(LoopError, match=r"`keep` is .*Expected a number.*Write keep=3"):
        Keeping.of(resume=True, save=None, keep=keep)


@pytest.mark.parametrize("resume", ["exact", None, 2])
def test_what_is_no_way_to_resume_is_refused(resume):
    with pytest.raises(LoopError, match=r"`resume` is .*Expected True, False or"):
        Keeping.of(resume=resume, save=None, keep=3)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("keep", 3),
        ("keep", Keep(best=1, by="val_loss")),
        ("save", 1000),
        ("save", None),
        ("save", every(minutes(5))),
    ],
    ids=str,
)
def test_what_needs_a_folder_is_refused_where_none_is_named(word, value):
    expected = rf"`Loop\({word}=...\)` .* no folder\. Expected .*folder="
    with pytest.raises(LoopError, match=expected):
        Loop(**{word: value})


def test_a_folder_that_is_none_by_name_keeps_nothing_and_takes_it_all():
    assert Loop(folder=None, save=1000, keep=2).step == 0
