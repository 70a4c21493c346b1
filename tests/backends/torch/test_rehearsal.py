"""The rehearsal finds every variable that a step may use."""

import keras
import pytest

from ownloop.backends.contract import LeafSpec, StepValues
from ownloop.backends.torch.rehearsal import made_up, rehearse


def test_a_variable_behind_an_if_is_found():
    first, rare, rarer = (keras.Variable(1.0) for _ in range(3))

    def step(leaves):
        if first.value > 5 and rare.value > 5:
            rarer.assign(0.0)
        return StepValues((first.value,), ())

    assert rehearse(step, []) == (first, rare, rarer)
    assert rarer.value.item() == 1


def test_a_check_of_the_users_on_the_other_way_does_no_harm():
    loss = keras.Variable(1.0)

    def step(leaves):
        if loss.value > 5:
            raise ArithmeticError("diverged")
        return StepValues((loss.value,), ())

    assert rehearse(step, []) == (loss,)


def test_what_fails_leaves_the_state_as_it_was():
    v = keras.Variable(1.0)

    def step(leaves):
        v.assign_add(1.0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        rehearse(step, [])
    assert v.value.item() == 1


def test_made_up_numbers_lie_between_zero_and_one():
    floats = made_up(LeafSpec((50,), "float32"))
    assert 0 <= float(floats.min()) < float(floats.max()) < 1
    assert made_up(LeafSpec((2,), "int32")).tolist() == [0, 0]
