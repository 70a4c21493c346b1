"""The tape is autograd's own, between `start` and `stop`."""

import keras
import pytest
import torch

from ownloop.backends.torch.gradient import TorchTape, value_and_grad


@pytest.fixture
def tape():
    return TorchTape(watch_accessed_variables=True)


def test_autograd_is_on_inside_the_block_only(tape):
    with torch.no_grad():
        tape.start()
        assert torch.is_grad_enabled()
        tape.stop()
        assert not torch.is_grad_enabled()


def test_sources_that_are_not_reached_get_none(tape):
    used, unused = keras.Variable(2.0), keras.Variable(2.0)
    frozen = keras.Variable(2.0, trainable=False)
    count = keras.Variable(2, dtype="int32", trainable=False)
    tape.start()
    loss = used * used * frozen * keras.ops.cast(count, "float32")
    tape.stop()
    gradients = tape.gradient([loss], [used, unused, frozen, count], [None])
    assert gradients[0].item() == 16
    assert gradients[1:] == [None, None, None]


def test_a_target_that_depends_on_nothing_gives_none(tape):
    v = keras.Variable(2.0)
    assert tape.gradient([torch.ones(())], [v], [None]) == [None]


def test_targets_of_any_shape_are_summed_with_their_weights(tape):
    x = torch.tensor([1.0, 2.0])
    tape.start()
    tape.watch([x])
    y, z = x * x, x * 3
    tape.stop()
    (gradient,) = tape.gradient([y, z], [x], [torch.tensor([1.0, 10.0]), None])
    assert gradient.tolist() == [5, 43]


def test_a_frozen_variable_that_is_watched_has_a_gradient(tape):
    frozen = keras.Variable(2.0, trainable=False)
    tape.start()
    tape.watch([frozen])
    loss = frozen * frozen
    tape.stop()
    assert tape.gradient([loss], [frozen], [None])[0].item() == 4


def test_only_what_is_watched_counts_if_so_asked():
    tape = TorchTape(watch_accessed_variables=False)
    watched, other = keras.Variable(2.0), keras.Variable(2.0)
    tape.start()
    tape.watch([watched])
    loss = watched * other
    tape.stop()
    gradients = tape.gradient([loss], [watched, other], [None])
    assert gradients[0].item() == 2
    assert gradients[1] is None


def test_two_tapes_share_what_they_recorded(tape):
    v, second = keras.Variable(3.0), TorchTape(watch_accessed_variables=True)
    tape.start()
    second.start()
    shared = v * v
    one, other = shared * 2, shared * 3
    second.stop()
    tape.stop()
    assert tape.gradient([one], [v], [None])[0].item() == 12
    assert second.gradient([other], [v], [None])[0].item() == 18


def test_an_outer_tape_differentiates_a_gradient(tape):
    x, inner = torch.tensor(2.0), TorchTape(watch_accessed_variables=True)
    tape.start()
    tape.watch([x])
    inner.start()
    inner.watch([x])
    y = x**3
    inner.stop()
    (first,) = inner.gradient([y], [x], [None])
    tape.stop()
    assert first.item() == 12
    assert tape.gradient([first], [x], [None])[0].item() == 12


def test_a_gradient_that_no_tape_records_has_no_graph(tape):
    v = keras.Variable(2.0)
    tape.start()
    loss = v * v * v
    tape.stop()
    assert not tape.gradient([loss], [v], [None])[0].requires_grad


def test_value_and_grad_assigns_what_the_function_assigns():
    v, calls = keras.Variable(3.0), keras.Variable(0.0, trainable=False)

    def function(x):
        calls.assign_add(1.0)
        return v * v * x, "aux"

    with torch.no_grad():
        (value, aux), gradients = value_and_grad(function, [v], (2.0,), has_aux=True)
    assert (value.item(), aux, gradients[0].item()) == (18, "aux", 12)
    assert calls.value.item() == 1
