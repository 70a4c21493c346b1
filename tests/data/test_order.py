"""The order of examples: a law, and golden values so that it never changes silently."""

import hashlib

import numpy as np
import pytest

from ownloop.data.order import permutation, row_type, unshuffled


def test_same_seed_and_epoch_give_the_same_order():
    first = permutation(1000, seed=3, epoch=5)
    np.testing.assert_array_equal(first, permutation(1000, seed=3, epoch=5))


@pytest.mark.parametrize(("seed", "epoch"), [(3, 6), (4, 5), (5, 3)])
def test_another_seed_or_epoch_gives_another_order(seed, epoch):
    first = permutation(1000, seed=3, epoch=5)
    assert not np.array_equal(first, permutation(1000, seed=seed, epoch=epoch))


@pytest.mark.parametrize("examples", [0, 1, 2, 3, 7, 8, 9, 255, 256, 257, 10_000])
def test_each_row_comes_exactly_once(examples):
    order = permutation(examples, seed=2**64 - 1, epoch=2)
    np.testing.assert_array_equal(np.sort(order), np.arange(examples))
    assert order.dtype == np.int32


def test_the_order_is_what_it_was_in_the_first_release():
    assert permutation(10, seed=0, epoch=1).tolist() == [5, 3, 7, 8, 2, 4, 1, 0, 6, 9]
    assert permutation(10, seed=1, epoch=0).tolist() == [3, 5, 2, 9, 7, 0, 8, 6, 1, 4]
    last = permutation(10, seed=2**64 - 1, epoch=7).tolist()
    assert last == [3, 0, 7, 4, 6, 9, 8, 1, 5, 2]


def test_the_order_of_the_digits_is_what_it_was_in_the_first_release():
    order = permutation(60_000, seed=1, epoch=3).astype("<i4").tobytes()
    assert hashlib.sha256(order).hexdigest().startswith("a54ebeb5e67c06de9688b334")


def test_every_place_is_equally_likely_for_every_row():
    places = np.zeros((6, 6))
    for epoch in range(6000):
        places[np.arange(6), permutation(6, seed=0, epoch=epoch)] += 1
    # Chi-squared with 25 degrees of freedom: above 52 once in a thousand.
    assert ((places - 1000) ** 2 / 1000).sum() < 52


def test_without_shuffle_the_rows_keep_their_order():
    np.testing.assert_array_equal(unshuffled(4), [0, 1, 2, 3])


def test_row_numbers_widen_only_where_they_must():
    assert row_type(2**31) is np.int32
    assert row_type(2**31 + 1) is np.int64
