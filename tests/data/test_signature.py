"""Signatures are equal exactly where one compiled program fits both batches."""

import numpy as np
import pytest

from ownloop.data import Signature
from ownloop.data.signature import examples
from ownloop.errors import DataError


def signature(batch, float_type="float32"):
    return Signature.of_batch(batch, float_type=float_type)[0]


def test_equal_shapes_types_and_structures_give_one_key():
    first = signature((np.zeros((2, 3)), np.zeros(2, "i4")))
    second = signature((np.ones((2, 3), "f4"), np.ones(2, "i4")))
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    "other",
    [
        (np.zeros((2, 4)), np.zeros(2)),
        (np.zeros((2, 3)), np.zeros(2, "u1")),
        [np.zeros((2, 3)), np.zeros(2)],
        {"x": np.zeros((2, 3)), "y": np.zeros(2)},
        np.zeros((2, 3)),
    ],
)
def test_any_difference_gives_another_key(other):
    assert signature((np.zeros((2, 3)), np.zeros(2))) != signature(other)


def test_the_order_in_which_a_dict_was_written_does_not_matter():
    first = {"x": np.zeros(2), "y": np.zeros(3)}
    assert signature(first) == signature(dict(reversed(first.items())))


def test_a_batch_can_be_put_together_again():
    batch = {"x": [np.zeros(2), 1], "y": ([1, 2], None)}
    result, leaves = Signature.of_batch(batch, float_type="float32")
    again = result.structure.unflatten(leaves)
    assert again["y"][1] is None
    assert again["y"][0].tolist() == [1, 2]
    assert again["x"][0].dtype == np.float32


def test_numbers_become_arrays_and_their_floats_floatx():
    result, leaves = Signature.of_batch((1, 0.5, True), float_type="float16")
    assert [leaf.dtype.name for leaf in leaves] == ["int64", "float16", "bool"]
    assert result.leaves[1] == ((), "float16")


def test_it_shows_what_a_batch_looks_like():
    batch = (np.zeros((32, 4)), {"y": np.zeros(32, "u1")})
    assert str(signature(batch)) == "(float32[32, 4], {y: uint8[32]})"


def test_examples_are_counted_by_the_first_array_that_has_rows():
    assert examples([np.array(1.0), np.zeros((7, 2)), np.zeros(3)]) == 7
    assert examples([np.array(1.0)]) == 1
    assert examples([]) == 1


def test_text_in_a_batch_is_refused():
    with pytest.raises(DataError, match=r"at \[1\] has dtype <U3"):
        signature((np.zeros(2), ["cat", "dog"][0]))


def test_tensors_of_the_frameworks_are_read():
    tensorflow = pytest.importorskip("tensorflow")
    torch = pytest.importorskip("torch")
    batch = (
        tensorflow.ones((2, 3)),
        torch.ones(2, dtype=torch.float64, requires_grad=True),
    )
    result, leaves = Signature.of_batch(batch, float_type="float32")
    assert result.leaves == (((2, 3), "float32"), ((2,), "float32"))
    assert leaves[1].tolist() == [1, 1]
