"""A step's state: found on copies, carried in place, kept and put back."""

import keras
import pytest
import torch

from ownloop.backends.contract import StepValues
from ownloop.backends.torch import state
from ownloop.errors import StepError


def test_a_snapshot_is_safe_against_later_changes():
    v = keras.Variable([1.0, 2.0])
    memory = v.value
    snapshot = state.read([v])
    drawn = torch.rand(3)
    v.assign([5.0, 6.0])
    state.write([v], snapshot)
    assert v.value is memory
    assert v.value.tolist() == [1, 2]
    assert torch.equal(torch.rand(3), drawn)
    state.write([], state.read([]))


def test_a_snapshot_is_taken_into_the_memory_of_one_that_nobody_needs():
    v = keras.Variable([1.0, 2.0])
    old = state.read([v])
    v.assign([3.0, 4.0])
    new = state.read([v], old)
    v.assign([5.0, 6.0])
    assert new.values[0] is old.values[0]
    state.write([v], new)
    assert v.value.tolist() == [3, 4]


def test_a_rehearsal_works_on_copies_even_where_code_works_in_place():
    v, w = keras.Variable(1.0), keras.Variable(2.0)
    with torch.no_grad(), state.Rehearsal() as found:
        v.value.add_(5)
        w.assign(v + w)
        assert w.value.item() == 8
    assert [x is y for x, y in zip(found.variables, [v, w], strict=True)]
    assert (v.value.item(), w.value.item()) == (1, 2)


def test_carried_leaves_are_assigned_in_place_and_stay_leaves():
    v = keras.Variable(1.0)
    leaf = state.as_leaf(torch.tensor(3.0), trainable=True)
    with state.Leaves([v], [leaf]) as scope:
        v.assign(v * 2)
        assert v.value is leaf
    assert leaf.is_leaf
    assert leaf.requires_grad
    assert scope.values()[0].item() == 6
    assert v.value.item() == 1


def test_a_native_run_is_undone():
    v = keras.Variable(1.0)
    with torch.no_grad(), state.Native() as found:
        v.value.add_(5)
        v.assign_add(1.0)
        assert v.value.item() == 7
    found.restore()
    assert found.variables == (v,)
    assert v.value.item() == 1


def test_eagerly_only_the_chosen_branch_runs():
    v = keras.Variable(1.0)
    assert state.cond(torch.tensor(False), lambda: v.assign(9.0), lambda: 4) == 4
    assert state.cond(True, lambda: 5, lambda: v.assign(9.0)) == 5
    assert v.value.item() == 1


def test_a_compiled_branch_carries_assignments_and_results(room, batches):
    count = keras.Variable(0, dtype="int32", trainable=False)
    even, odd = keras.Variable(0.0), keras.Variable(0.0)

    def step(leaves):
        count.assign_add(1)
        result = room.cond(
            count.value % 2 == 0,
            lambda: {"sum": even.assign_add(1.0)},
            lambda: {"sum": odd.assign(odd + even + 10)},
        )
        room.cond(count.value == 3, lambda: even.assign(100.0) and None, lambda: None)
        return StepValues((result["sum"], even.value, odd.value), ())

    values = room.compile(step, []).run([batches(4)], None).every
    assert [v.tolist() for v in values] == [
        [10, 1, 21, 101],
        [0, 1, 100, 101],
        [10, 10, 21, 21],
    ]


def test_branches_of_different_structure_are_refused(room):
    v = keras.Variable(0.0)

    def step(leaves):
        room.cond(v.value > 0, lambda: v.assign(1.0), lambda: None)
        return StepValues((v.value,), ())

    with pytest.raises(StepError, match="different structures"):
        room.compile(step, [])
