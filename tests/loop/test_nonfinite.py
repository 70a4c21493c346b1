"""What `Loop(nonfinite=...)` takes."""

import numpy as np
import pytest

from ownloop.errors import LoopError
from ownloop.loop.nonfinite import Policy


@pytest.mark.parametrize("number", [3, np.int64(3), np.array(3)], ids=repr)
def test_a_number_of_steps_to_skip_is_kept_as_pythons(number):
    policy = Policy.of(number)
    assert policy == Policy(3, raises=True)
    assert type(policy.skips) is int


@pytest.mark.parametrize("value", [-1, 2.5, True, "3", "ignore", None, ()], ids=repr)
def test_what_is_neither_a_word_nor_a_number_is_refused(value):
    with pytest.raises(LoopError, match=r"nonfinite=.* got .*Expected what.*Write"):
        Policy.of(value)
