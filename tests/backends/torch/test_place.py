"""Arrays on Keras' device, copied, in the dtypes that Keras has on PyTorch."""

import numpy as np
import pytest
import torch

from ownloop.backends.contract import LeafSpec
from ownloop.backends.torch import place


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("float64", "float32"),
        ("float16", "float16"),
        ("uint8", "uint8"),
        ("uint16", "int32"),
        ("uint32", "int64"),
        ("int64", "int64"),
        ("bool", "bool"),
    ],
)
def test_arrays_and_specs_get_the_same_dtype(given, expected):
    array = np.ones((2, 3), given)
    assert str(place.to_device(array).dtype) == f"torch.{expected}"
    spec = LeafSpec((2, 3), given)
    assert place.canonical(spec) == LeafSpec((2, 3), expected)


def test_later_changes_to_an_array_are_not_seen():
    array = np.zeros(3, "float32")
    placed = place.place([array])
    array += 1
    assert placed.arrays[0].tolist() == [0, 0, 0]


def test_results_on_the_host_have_memory_of_their_own():
    tensor = torch.ones(2, requires_grad=True)
    array = place.to_host(tensor)
    with torch.no_grad():
        tensor.add_(1)
    assert array.tolist() == [1, 1]


def test_dtypes_that_numpy_lacks_come_as_float32():
    assert place.to_host(torch.ones((), dtype=torch.bfloat16)).dtype == "float32"


def test_row_numbers_come_batch_by_batch():
    rows = place.row_numbers(np.array([[3, 1], [2, 0]], np.int32))
    assert [row.tolist() for row in rows] == [[3, 1], [2, 0]]
