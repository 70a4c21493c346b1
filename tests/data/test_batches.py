"""Batches: which rows make which batch, and what is refused before the first step."""

import inspect

import numpy as np
import pytest

from ownloop.data import Batches
from ownloop.errors import DataError


def test_every_example_comes_once_in_an_epoch_and_the_short_last_batch_counts():
    batches = Batches(np.arange(50), 16, shuffle=True, seed=1)
    sizes = [len(batch) for batch in batches]
    assert sizes == [16, 16, 16, 2]
    assert len(batches) == 4
    np.testing.assert_array_equal(np.sort(np.concatenate(list(batches))), np.arange(50))


def test_the_remainder_can_be_dropped():
    assert [len(b) for b in Batches(np.arange(50), 16, drop_remainder=True)] == [16] * 3


def test_arrays_stay_together_and_keep_their_structure():
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    data = {"image": x, "labels": [y, (y,)]}
    for batch in Batches(data, 3, shuffle=True, seed=4):
        assert list(batch) == ["image", "labels"]
        assert isinstance(batch["labels"][1], tuple)
        np.testing.assert_array_equal(batch["image"][:, 0], 2 * batch["labels"][0])
        np.testing.assert_array_equal(batch["labels"][1][0], batch["labels"][0])


def test_each_epoch_has_its_own_order_and_looking_shows_the_first():
    batches = Batches(np.arange(100), 10, shuffle=True, seed=1)
    assert not np.array_equal(batches.rows(1), batches.rows(2))
    np.testing.assert_array_equal(np.concatenate(list(batches)), batches.rows(1))
    np.testing.assert_array_equal(batches.batch(2, 3), batches.rows(2)[30:40])


def test_without_shuffle_every_epoch_has_the_arrays_own_order():
    batches = Batches(np.arange(5), 2)
    np.testing.assert_array_equal(batches.rows(1), batches.rows(9))
    assert [batch.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


def test_a_batch_is_a_copy_and_the_arrays_are_not():
    x = np.zeros((4, 2))
    batches = Batches(x, 2)
    batches.batch(1, 0)[:] = 7
    assert batches.leaves[0] is x
    assert x.sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        batches.rows(1)[0] = 3


def test_resident_arrays_are_converted_once():
    x, y = np.zeros((4, 2)), np.zeros(4, "uint8")
    batches = Batches((x, y), 2)
    first, second = batches.resident("float32"), batches.resident("float32")
    assert first[0].dtype == np.float32
    assert first[0] is second[0]
    assert first[1] is y
    assert x.dtype == np.float64


def test_memory_maps_and_views_are_taken_as_they_are(tmp_path):
    mapped = np.memmap(tmp_path / "rows", dtype="uint8", mode="w+", shape=(4, 2))
    mapped[:] = np.arange(8).reshape(4, 2)
    batches = Batches((mapped, np.arange(8)[::2]), 3)
    assert batches.leaves[0].base is mapped
    first, second = batches.batch(1, 0)
    assert type(first) is np.ndarray
    assert first.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert second.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (
            Batches(np.zeros(50_000), 32, shuffle=True, seed=1),
            "Batches(50,000 examples, 1,563 batches of 32, shuffled, seed 1)",
        ),
        (Batches(np.zeros(1), 32), "Batches(1 example, 1 batch of 32, in order)"),
        (
            Batches(np.zeros(5), 2, drop_remainder=True),
            "Batches(5 examples, 2 batches of 2, in order, remainder dropped)",
        ),
    ],
)
def test_it_can_be_read_aloud(batches, words):
    assert repr(batches) == words


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros(3), np.zeros(2)), r"\[0\] has 3 examples and \[1\] has 2\."),
        ([np.zeros(3), np.zeros(2)], r"\[0\] has 3 examples and \[1\] has 2\."),
        ({"a": np.zeros(3), "b": np.zeros(2)}, r"\['a'\] has 3 .* \['b'\] has 2\."),
        ((), "There are no arrays in the data"),
        ([], "There are no arrays in the data"),
        (None, "There are no arrays in the data"),
        (np.zeros((0, 3)), r"no examples: its shape is \(0, 3\)"),
        ((np.zeros(3), 5), r"at \[1\] is the single value 5"),
        (np.array(3.0), "The array is the single value 3.0"),
        ((np.zeros(2), np.array(["a", "b"])), r"at \[1\] has dtype <U1"),
        (
            {"image": np.array([[1], [2, 3]], dtype=object)},
            r"\['image'\] has .* object",
        ),
        (([[1, 2], [3]], [0, 1]), r"at \[0\] cannot be read"),
    ],
)
def test_data_that_make_no_batches_are_refused(arrays, message):
    with pytest.raises(DataError, match=rf"(?s){message}.*Expected.*\."):
        Batches(arrays, 2)


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", None, True, np.True_])
def test_a_batch_size_that_is_no_positive_integer_is_refused(size):
    with pytest.raises(DataError, match=r"batch_size is .*Expected an integer of 1"):
        Batches(np.zeros(4), size)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None, False])
def test_a_seed_that_is_no_64_bit_integer_is_refused(seed):
    with pytest.raises(DataError, match=r"seed is .*Expected an integer of 0"):
        Batches(np.zeros(4), 2, seed=seed)


def test_numpy_integers_are_integers():
    assert len(Batches(np.zeros(4), np.int64(2), seed=np.uint8(3))) == 2


def test_dropping_the_only_batch_is_refused():
    with pytest.raises(DataError, match="3 examples make no batch of 4"):
        Batches(np.zeros(3), 4, drop_remainder=True)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_batch_that_does_not_exist_is_refused(index):
    with pytest.raises(DataError, match=f"no batch {index}. Expected 0 to 1"):
        Batches(np.zeros(4), 2).batch(1, index)


X, Y = np.zeros((20, 3), "float32"), np.zeros((20, 1), "float32")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((X, Y), {}), ((X, Y), {"batch_size": 8}), ((X, Y, 8), {}), ((X, Y, Y), {})],
    ids=["alone", "with a size", "with a size by position", "three"],
)
def test_arrays_side_by_side_are_told_to_stand_in_one_tuple(arguments, options):
    expected = r"batch_size is .*\. Expected .*Put .*ol\.Batches\(\(x, y\), batch_size="
    with pytest.raises(DataError, match=expected) as caught:
        Batches(*arguments, **options)
    assert len(str(caught.value)) < 300


def test_a_forgotten_batch_size_is_asked_for():
    with pytest.raises(DataError, match=r"no batch_size\. Expected .*batch_size=32"):
        Batches((X, Y))


def test_the_word_of_pytorch_for_the_remainder_is_translated():
    with pytest.raises(DataError, match=r"drop_last.*Expected.*drop_remainder=True"):
        Batches((X, Y), batch_size=8, drop_last=True)


def test_other_mistakes_are_pythons_own():
    with pytest.raises(TypeError, match="unexpected keyword argument 'size'"):
        Batches((X, Y), 8, size=3)
    with pytest.raises(TypeError, match="positional arguments"):
        Batches((X, Y), 8, True)


def test_its_signature_is_seen_by_those_who_ask():
    names = list(inspect.signature(Batches).parameters)
    assert names == ["arrays", "batch_size", "shuffle", "seed", "drop_remainder"]


def test_a_long_value_is_cut_to_a_line():
    with pytest.raises(DataError, match=r"batch_size is .*of type ndarray") as caught:
        Batches((X, Y), batch_size=np.zeros((300, 2)))
    assert "\n" not in str(caught.value)
