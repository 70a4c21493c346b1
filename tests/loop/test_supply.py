"""Data of passes of `steps`: gone on with, or begun, in another process as well."""

import gc
import tempfile
import threading
import weakref

import numpy as np
import pytest

from ownloop.data import Batches
from ownloop.errors import LoopError
from ownloop.loop.supply import Supply


class Stream:
    """Numbers that can be read again from their begin."""

    def __init__(self, first):
        self.first = first

    def __iter__(self):
        return (np.array([self.first + i]) for i in range(1000))


def take(supply, data, epoch, count=2, name="train"):
    """Run a pass of some steps, and give the numbers that it got."""
    feed = supply.feed(data, name=name, steps=count, epoch=epoch)
    feed.begin(count)
    found = []
    while (segment := feed.take(10)) is not None:
        found += segment.leaves[0].ravel().tolist()
        feed.count(segment.count)
    return found


def again(supply):
    """Give what another process begins with."""
    later = Supply()
    later.go_to(supply.positions())
    return later


def test_the_same_data_are_gone_on_with_in_this_process_and_the_next():
    supply, data = Supply(), Stream(0)
    assert take(supply, data, 1) == [0, 1]
    assert take(supply, data, 2) == [2, 3]
    supply, data = again(supply), Stream(0)
    assert take(supply, data, 3) == [4, 5]
    assert take(supply, data, 4) == [6, 7]


def test_data_made_anew_for_each_epoch_begin_at_their_begin_in_the_next_process():
    supply = Supply()
    for epoch in (1, 2):
        assert take(supply, Stream(100 * epoch), epoch) == [
            100 * epoch,
            100 * epoch + 1,
        ]
    supply = again(supply)
    assert take(supply, Stream(300), 3) == [300, 301]
    assert take(again(supply), Stream(400), 4) == [400, 401]


def test_in_the_epoch_that_was_interrupted_new_data_go_on_as_well():
    supply = Supply()
    for epoch in (1, 2, 3):
        take(supply, Stream(100 * epoch), epoch)
    assert take(again(supply), Stream(300), 3) == [302, 303]


def test_two_data_of_one_name_keep_their_order_in_the_epoch():
    supply, one, two = Supply(), Stream(0), Stream(500)
    for epoch in (1, 2):
        take(supply, one, epoch)
        take(supply, two, epoch, count=3)
    supply, one, two = again(supply), Stream(0), Stream(500)
    assert take(supply, one, 3) == [4, 5]
    assert take(supply, two, 3) == [506, 507]


def test_after_one_epoch_data_are_taken_for_the_same_and_a_mistake_is_an_error():
    supply = Supply()
    take(supply, Stream(0), 1)
    supply = again(supply)
    assert take(supply, Stream(0), 2) == [2, 3]
    with pytest.raises(
        LoopError, match=r"Epoch 3 brought other data.*made once.*in another folder"
    ):
        take(supply, Stream(0), 3)


def arrays(first=0):
    """Give data of eight numbers."""
    return Batches(np.arange(first, first + 8), batch_size=1)


def rows(supply, data, epoch, name):
    """Run a pass of two steps, and give the batches of `data` that it got."""
    feed = supply.feed(data, name=name, steps=2, epoch=epoch)
    feed.begin(2)
    found = []
    while (segment := feed.take(10)) is not None:
        found += segment.rows.ravel().tolist()
        feed.count(segment.count)
    return found


def test_equal_arrays_that_come_to_a_new_place_are_gone_on_with_and_that_is_said():
    supply, said = Supply(), []
    assert rows(supply, arrays(), 1, "warm") == [0, 1]
    later = Supply(said.append)
    later.go_to(supply.positions())
    data = arrays()
    assert rows(later, data, 2, "train") == [2, 3]
    assert said == [
        "The pass 'train' goes on with the data of 'warm', behind 2 batches: no save "
        "has seen it, and the data are equal"
    ]
    assert rows(later, data, 3, "train") == [4, 5]
    assert rows(again(later), arrays(), 4, "train") == [6, 7]


def test_other_arrays_that_come_to_a_new_place_begin_at_their_begin():
    supply = Supply()
    rows(supply, arrays(), 1, "warm")
    assert rows(again(supply), arrays(first=1), 2, "train") == [0, 1]


def test_arrays_made_anew_for_each_epoch_are_not_gone_on_with_elsewhere():
    supply = Supply()
    for epoch in (1, 2):
        assert rows(supply, arrays(), epoch, "warm") == [0, 1]
    assert rows(again(supply), arrays(), 3, "train") == [0, 1]


def test_arrays_gone_on_with_elsewhere_and_then_made_anew_are_an_error():
    supply = Supply()
    rows(supply, arrays(), 1, "warm")
    supply = again(supply)
    rows(supply, arrays(), 2, "train")
    with pytest.raises(LoopError, match=r"Epoch 3 brought other data.*'warm'.*anew"):
        rows(supply, arrays(), 3, "warm")


def test_which_of_equal_arrays_come_to_a_new_place_cannot_be_known():
    supply = Supply()
    rows(supply, arrays(), 1, "warm")
    rows(supply, arrays(), 1, "cold")
    with pytest.raises(
        LoopError, match=r"'train' got.*equal to.*'warm' and 'cold'.*name=.*anew"
    ):
        rows(again(supply), arrays(), 2, "train")


def test_a_stream_that_comes_to_a_new_place_begins_and_what_it_may_be_is_said():
    supply, said = Supply(), []
    take(supply, Stream(0), 1, name="warm")
    later = Supply(said.append)
    later.go_to(supply.positions())
    assert take(later, Stream(0), 2) == [0, 1]
    assert said == [
        "The pass 'train' begins its data, a Stream, at their first batch, as new "
        "ones: whether they are those of 'warm', and were to be gone on with, cannot "
        "be seen"
    ]


@pytest.fixture
def mapped(monkeypatch):
    """Ten batches of numbers in a file, and a list of those that were read."""
    with tempfile.TemporaryFile() as file:
        numbers = np.memmap(file, dtype="int64", mode="w+", shape=10)
    numbers[:] = np.arange(10)
    read, batch = [], Batches.batch

    def count(self, epoch, index):
        read.append((epoch, index))
        return batch(self, epoch, index)

    monkeypatch.setattr(Batches, "batch", count)
    return Batches(numbers, batch_size=1), read


def all_of(feed):
    found = []
    while (segment := feed.take(4)) is not None:
        found += segment.leaves[0].ravel().tolist()
    return found


@pytest.mark.parametrize("done", [0, 1, 8, 10])
def test_of_a_file_only_what_is_to_come_is_read_and_one_batch_before_it(mapped, done):
    data, read = mapped
    with Supply().feed(data, name="train", steps=None, epoch=3, done=done) as feed:
        assert all_of(feed) == list(range(done, 10))
    assert read == [(3, index) for index in range(max(done - 1, 0), 10)]


def test_so_where_passes_go_on_with_a_file_into_the_next_epoch(mapped):
    data, read = mapped
    supply = Supply()
    assert take(supply, data, 1, count=18) == [*range(10), *range(8)]
    supply = again(supply)
    read.clear()
    assert take(supply, data, 2, count=4) == [8, 9, 0, 1]
    assert read == [(2, 7), (2, 8), (2, 9), (3, 0), (3, 1)]


def test_data_that_take_turns_cannot_be_told_apart_and_are_refused():
    supply, one, two = Supply(), Stream(0), Stream(500)
    for epoch, data in enumerate((one, two, one), start=1):
        take(supply, data, epoch)
    with pytest.raises(LoopError, match=r"takes turns.*one name for each.*name="):
        take(again(supply), Stream(500), 4)


@pytest.mark.in_turn
def test_data_for_one_epoch_are_let_go_with_their_thread():
    supply, seen = Supply(), []
    before = threading.active_count()
    for epoch in range(1, 9):
        data = Stream(epoch)
        seen.append(weakref.ref(data))
        take(supply, data, epoch)
        del data
    gc.collect()
    assert sum(one() is not None for one in seen) <= 3
    assert threading.active_count() - before <= 3


def test_data_that_were_let_go_and_come_back_are_an_error():
    supply, kept = Supply(), [Stream(100 * i) for i in range(4)]
    for epoch, data in enumerate(kept, start=1):
        take(supply, data, epoch)
    with pytest.raises(LoopError, match=r"a Stream again.*let go.*`name` each"):
        take(supply, kept[1], 5)
