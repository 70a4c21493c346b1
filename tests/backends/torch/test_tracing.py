"""A trace holds the whole step, or refuses it; nothing is baked in unseen."""

import keras
import numpy as np
import pytest
import torch

from ownloop.backends.contract import StepValues
from ownloop.backends.torch import tracing
from ownloop.backends.torch.graphs import CannotTrace
from ownloop.errors import StepError


def traced(compute, *variables):
    def step(leaves):
        return StepValues((compute(),), ())

    return tracing.trace(step, variables, [])


def test_a_trace_changes_neither_state_nor_generators():
    v, before = keras.Variable(1.0), torch.get_rng_state()
    traced(lambda: v.assign_add(1.0) + torch.rand(()), v)
    assert v.value.item() == 1
    assert torch.equal(before, torch.get_rng_state())


def test_the_seed_of_a_draw_used_as_a_number_is_refused():
    v = keras.Variable(1, dtype="int32", trainable=False)

    def compute():
        seed = int(v.value)
        generator = torch.Generator().manual_seed(seed & 0xFFFFFFFF)
        return torch.rand((), generator=generator) * seed

    with pytest.raises(CannotTrace, match="computes with the Python integer"):
        traced(compute, v)


def test_a_seed_that_reaches_an_unknown_draw_is_refused():
    v = keras.Variable(1, dtype="int32", trainable=False)

    def compute():
        generator = torch.Generator().manual_seed(int(v.value) & 0xFFFFFFFF)
        return torch.ones(()).exponential_(generator=generator)

    with pytest.raises(CannotTrace, match="exponential_"):
        traced(compute, v)


def test_both_ways_of_an_if_are_in_the_graph():
    v = keras.Variable(1.0)
    graph = traced(lambda: v.value * 2 if v.value > 0 else v.value - 1, v)
    with torch.no_grad():
        results = [float(graph.module(torch.tensor(x))[0]) for x in (3.0, -3.0)]
    assert results == [6, -4]


def test_ways_that_return_different_shapes_are_refused():
    v = keras.Variable([1.0, 2.0])
    with pytest.raises(CannotTrace, match="depends on an `if`"):
        traced(lambda: v.value if v.value[0] > 0 else v.value[0], v)


def test_an_unseeded_draw_after_an_if_is_refused():
    v = keras.Variable(1.0)
    with pytest.raises(CannotTrace, match="in a branch"):
        traced(lambda: torch.rand(()) if v.value > 0 else v.value, v)


def test_a_variable_that_the_rehearsal_did_not_see_is_an_error():
    v = keras.Variable(1.0)
    with pytest.raises(StepError, match="not when its state was looked for"):
        traced(lambda: v.value * 2)


def test_reasons_are_one_short_line():
    error = RuntimeError("first\nsecond " + "x" * 500)
    assert tracing.reason_of(error) == "RuntimeError: first"


def test_a_tensor_that_meets_an_array_is_said_to_go_to_numpy():
    v = keras.Variable(np.ones(2, "float32"))
    with pytest.raises(CannotTrace, match="hands a tensor to NumPy"):
        traced(lambda: v.value - np.ones(2, "float32"), v)
