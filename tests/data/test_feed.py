"""The resident feed: the batches of a pass, whatever the limits are."""

import numpy as np
import pytest

from ownloop.data import Batches, ResidentFeed
from ownloop.errors import DataError


def feed(batches, **options):
    return ResidentFeed(batches, **{"float_type": "float32", "epoch": 1, **options})


def drain(source, limit):
    """Give every batch's rows as a list, and the number of segments."""
    batches, segments = [], 0
    while (segment := source.take(limit)) is not None:
        assert segment.count == len(segment.rows) == len(segment.sizes) <= limit
        assert segment.sizes.tolist() == [segment.rows.shape[1]] * segment.count
        assert segment.leaves is None
        batches += segment.rows.tolist()
        segments += 1
    return batches, segments


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("examples", [3, 32, 50])
def test_the_limit_never_changes_the_batches_of_a_pass(limit, examples):
    batches = Batches(np.arange(examples), 4, shuffle=True, seed=1)
    expected = [batches.batch(3, index).tolist() for index in range(len(batches))]
    source = feed(batches, epoch=3)
    assert drain(source, limit)[0] == expected
    assert source.take(limit) is None


def test_the_signature_has_the_batch_axis_and_the_float_type():
    batches = Batches({"x": np.zeros((5, 3)), "y": np.zeros(5, "u1")}, 2)
    source = feed(batches)
    assert source.take(9).signature.leaves == (((2, 3), "float32"), ((2,), "uint8"))
    assert source.take(9).signature.leaves == (((1, 3), "float32"), ((1,), "uint8"))
    assert source.resident[0].dtype == np.float32


def test_equal_batches_share_one_signature():
    source = feed(Batches(np.arange(5), 2))
    first, second, last = (source.take(1).signature for _ in range(3))
    assert first is second
    assert last != first


def test_a_pass_can_start_in_the_middle():
    batches = Batches(np.arange(10), 2, shuffle=True, seed=1)
    assert drain(feed(batches, start=3), 2) == (
        batches.rows(1)[6:].reshape(2, 2).tolist(),
        1,
    )


def test_passes_of_a_fixed_length_go_on_where_the_last_one_stopped():
    batches = Batches(np.arange(10), 4, shuffle=True, seed=1)
    expected = [
        batches.batch(epoch, index).tolist()
        for epoch in range(1, 6)
        for index in range(3)
    ]
    source = feed(batches, steps=4)
    seen = drain(source, 3)[0]
    assert len(seen) == 4
    source.begin(5)
    seen += drain(source, 100)[0]
    other = feed(batches, epoch=4, start=0, steps=6)
    assert seen + drain(other, 1)[0] == expected


@pytest.mark.parametrize("dropped", [False, True])
def test_a_pass_that_starts_at_the_end_of_an_epoch_begins_with_the_next(dropped):
    batches = Batches(np.arange(5), 2, shuffle=True, seed=1, drop_remainder=dropped)
    source = feed(batches, start=len(batches), steps=2)
    assert drain(source, 1)[0] == batches.rows(2)[:4].reshape(2, 2).tolist()
    assert feed(batches, start=len(batches)).take(1) is None


def test_a_pass_that_was_left_early_goes_on_with_the_next_batch():
    source = feed(Batches(np.arange(10), 1), steps=6)
    assert source.take(2).rows.tolist() == [[0], [1]]
    source.begin(3)
    assert drain(source, 2)[0] == [[2], [3], [4]]


def test_equal_batches_make_one_segment_across_the_end_of_the_data():
    batches = Batches(np.arange(4), 4, shuffle=True, seed=1)
    seen, segments = drain(feed(batches, steps=50), 100)
    assert len(seen) == 50
    assert segments == 1
    assert seen == [batches.rows(epoch).tolist() for epoch in range(1, 51)]


def test_a_feed_closes_as_a_context():
    with feed(Batches(np.arange(4), 2)) as source:
        assert source.take(1).count == 1
    source.close()


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "3"])
def test_steps_must_be_a_positive_integer(steps):
    with pytest.raises(DataError, match=r"steps is .*Expected a positive integer"):
        feed(Batches(np.arange(4), 2), steps=steps)


def test_a_limit_below_one_and_a_start_beyond_the_data_are_refused():
    with pytest.raises(DataError, match="asked for 0 batches"):
        feed(Batches(np.arange(4), 2)).take(0)
    with pytest.raises(DataError, match="cannot start at batch 3"):
        feed(Batches(np.arange(4), 2), start=3)
