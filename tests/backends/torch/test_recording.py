"""What a tape has recorded: by the numbers of autograd's operations."""

import keras
import pytest
import torch

from ownloop.backends.torch.recording import Recording, connect, place_of, switched


@pytest.fixture
def leaf():
    return torch.tensor(2.0, requires_grad=True)


def reached(recording, target):
    return connect(recording, [target]).reached


def test_operations_before_and_after_a_span_are_not_recorded(leaf):
    recording = Recording(accessed=True)
    before = leaf * 2
    recording.start()
    inside = before * leaf
    recording.stop()
    after = inside * 2
    assert place_of(leaf) in reached(recording, inside)
    assert place_of(before) not in reached(recording, inside)
    assert reached(recording, after) == {place_of(after)}


def test_the_operations_where_a_gradient_would_leave_are_named(leaf):
    recording = Recording(accessed=True)
    before = leaf * 2
    recording.start()
    inside = before * leaf
    recording.stop()
    assert connect(recording, [inside]).edges == (before.grad_fn,)


def test_what_is_not_watched_is_not_reached(leaf):
    recording = Recording(accessed=False)
    other = torch.tensor(3.0, requires_grad=True)
    recording.start()
    recording.watch(other)
    y = leaf * other
    z = leaf * 2
    recording.stop()
    assert reached(recording, y) == {place_of(y), place_of(other)}
    assert connect(recording, [z]).edges == (z.grad_fn,)


def test_what_is_watched_after_its_use_is_a_constant(leaf):
    recording = Recording(accessed=False)
    recording.start()
    early = leaf * 2
    recording.watch(leaf)
    late = leaf * 3
    recording.stop()
    assert place_of(leaf) not in reached(recording, early)
    assert place_of(leaf) in reached(recording, late)


def test_graphs_may_be_deeper_than_the_stack_of_python(leaf):
    recording = Recording(accessed=True)
    recording.start()
    y = leaf
    for _ in range(5000):
        y = y + 1.0
    recording.stop()
    assert place_of(leaf) in reached(recording, y)


def test_a_tensor_needs_a_gradient_for_as_long_as_one_tape_wants_it():
    tensor = torch.tensor(1.0)
    assert switched.on(tensor)
    assert switched.on(tensor)
    switched.off([tensor])
    assert tensor.requires_grad
    switched.off([tensor])
    assert not tensor.requires_grad
    assert not switched.on(keras.Variable(1.0).value)
