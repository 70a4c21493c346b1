"""The step as a backend calls it: leaves in, flat values out."""

import keras
import numpy as np
import optree
import pytest

from ownloop.errors import StepError
from ownloop.step import StepCall


def call_of(step, batch):
    leaves, structure = optree.tree_flatten(batch)
    return StepCall(lambda: step, structure), leaves


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ((1.0, 2.0), [1.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ({"x": 1.0}, [{"x": 1.0}]),
        (1.0, [1.0]),
        (({"x": 1.0}, 2.0), [{"x": 1.0}, 2.0]),
    ],
)
def test_tuples_and_lists_are_unpacked_and_nothing_else(batch, expected):
    seen = []

    def step(*arguments):
        seen.extend(arguments)
        return 1.0

    call, leaves = call_of(step, batch)
    call(leaves)
    assert seen == expected


@pytest.mark.parametrize(
    ("batch", "expected"),
    [({"x": 1.0, "y": 2.0}, "a dict of 'x', 'y', which"), (1.0, "no tuple, which")],
)
def test_a_batch_of_one_argument_is_explained_to_a_step_of_two(batch, expected):
    call, leaves = call_of(lambda x, y: x, batch)
    with pytest.raises(TypeError, match="missing 1 required positional") as caught:
        call(leaves)
    (note,) = caught.value.__notes__
    assert f"The data's batch is {expected} arrives as one argument" in note


def test_a_type_error_of_the_step_itself_gets_no_note():
    def step(batch):
        return batch["x"] + "words"

    call, leaves = call_of(step, {"x": 1.0})
    with pytest.raises(TypeError) as caught:
        call(leaves)
    assert not hasattr(caught.value, "__notes__")


def test_without_data_a_step_takes_nothing():
    values = StepCall(lambda: lambda: 2.0, None)(())
    assert [float(value) for value in values.every] == [2.0]


def test_the_names_of_the_last_result_are_known():
    mean = keras.metrics.Mean()
    call, leaves = call_of(lambda x: {"loss": x, "error": mean}, np.float32(1))
    assert call.logged == ()
    call(leaves)
    assert [entry.name for entry in call.logged] == ["loss", "error"]
    assert call.metrics == (mean,)


def test_every_call_gives_the_same_names_and_kinds():
    results = [{"loss": 1.0}, {"loss": 1.0, "more": 2.0}]
    call, leaves = call_of(lambda x: results.pop(0), 1.0)
    call(leaves)
    with pytest.raises(StepError, match=r"\{loss: scalar, more: scalar\} after \{loss"):
        call(leaves)
