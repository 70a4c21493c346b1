"""The comparison sees what it has to see: kinds, None, dtypes, shapes, values."""

import keras
import pytest

from conformance import outcome
from conformance.cases import CASES


def compared(ours, native, **bounds):
    bounds = {"rtol": 1e-5, "atol": 1e-6} | bounds
    one, other = outcome.of_value(ours), outcome.of_value(native)
    return outcome.differences(one, other, **bounds)


def tensor(value, dtype="float32"):
    return keras.ops.convert_to_tensor(value, dtype=dtype)


@pytest.mark.parametrize(
    ("ours", "native"),
    [
        (None, 0.0),
        ([1, 2], (1, 2)),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"b": 1}),
        ({"tensor": 1}, {"tensor": 2}),
        ("a", "b"),
        (1.0, 1.1),
        (True, 1),
        (tensor([1.0]), None),
        (tensor([1.0]), tensor([1.1])),
        (tensor([1.0]), tensor(1.0)),
        (tensor([1.0]), tensor([1.0], "float16")),
        (tensor([1.0]), [tensor(1.0)]),
        ([{"a": (tensor(1.0),)}], [{"a": (tensor(2.0),)}]),
        (tensor([0.0]), tensor([float("nan")])),
    ],
)
def test_a_difference_is_seen(ours, native):
    assert len(compared(ours, native)) == 1


def test_equal_outcomes_have_no_difference():
    value = {"a": [tensor([1.0, float("nan")]), None], "b": (1, "x", True, 0.5)}
    assert compared(value, value) == []


def test_values_within_the_bounds_are_equal():
    assert compared(tensor(1.0), tensor(1.0 + 1e-6)) == []
    assert compared(tensor(1.0), tensor(1.01)) != []
    assert compared(tensor(1.0), tensor(1.01), rtol=0.1) == []


def test_there_are_cases_enough():
    assert len(CASES) >= 150
    assert all(
        case.body.__module__.startswith("conformance") for case in CASES.values()
    )
