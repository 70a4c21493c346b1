"""The stream feed: read ahead, but in order, to the pass's end and no further."""

import gc
import threading
import time

import numpy as np
import pytest

from ownloop.data import StreamFeed
from ownloop.errors import DataError


def feed(iterable, **options):
    return StreamFeed(iterable, **{"float_type": "float32", **options})


def drain(source, limit):
    """Give the first number in each batch, and the counts of the segments."""
    values, counts = [], []
    while (segment := source.take(limit)) is not None:
        assert segment.rows is None
        assert len(segment.sizes) == segment.count
        for leaf, (shape, dtype) in zip(
            segment.leaves, segment.signature.leaves, strict=True
        ):
            assert leaf.shape == (segment.count, *shape)
            assert leaf.dtype.name == dtype
        values += segment.leaves[0].reshape(segment.count, -1)[:, 0].tolist()
        counts.append(segment.count)
    return values, counts


def batches(sizes):
    return [(np.full((size, 2), float(i)), [i] * size) for i, size in enumerate(sizes)]


def threads():
    return sum(thread.name == "ownloop-feed" for thread in threading.enumerate())


class Counted:
    """An iterable of endless batches that knows how many were read, and how often."""

    def __init__(self, length=10**9):
        self.length, self.read, self.opened = length, 0, 0

    def __iter__(self):
        self.opened += 1
        for number in range(self.length):
            self.read += 1
            yield np.array([number])


@pytest.mark.parametrize("ahead", [None, 0, 1, 50])
@pytest.mark.parametrize(
    ("limit", "counts"),
    [(1, [1] * 8), (2, [2, 2, 1, 1, 2]), (3, [3, 2, 1, 2]), (100, [5, 1, 2])],
)
def test_segments_are_as_long_as_limit_and_signature_allow(limit, counts, ahead):
    data = batches([4, 4, 4, 4, 4, 3, 4, 4])
    with feed(data, ahead=ahead) as source:
        assert drain(source, limit) == (list(range(8)), counts)
        assert source.take(limit) is None


def test_changing_limits_lose_nothing():
    with feed(batches([2] * 40)) as source:
        counts, values = [], []
        for limit in (3, 1, 7, 2, 20, 5, 5):
            segment = source.take(limit)
            counts.append(segment.count)
            values += segment.leaves[1][:, 0].tolist()
        assert counts == [3, 1, 7, 2, 20, 5, 2]
        assert values == list(range(40))


def test_the_sizes_are_the_examples_in_each_batch():
    with feed(batches([4, 4, 2])) as source:
        assert source.take(9).sizes.tolist() == [4, 4]
        assert source.take(9).sizes.tolist() == [2]
        assert source.resident is None


def test_a_buffer_that_the_iterable_uses_again_is_copied_in_time():
    def stream():
        buffer = np.zeros(2)
        for number in range(5):
            buffer[:] = number
            yield buffer

    with feed(stream()) as source:
        assert drain(source, 2)[0] == [0, 1, 2, 3, 4]


def test_segments_stay_as_they_were_while_the_next_ones_are_read():
    with feed(batches([2] * 30)) as source:
        kept = [source.take(3) for _ in range(10)]
        values = [segment.leaves[0][:, 0, 0].tolist() for segment in kept]
    assert values == [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(10)]


def test_a_pass_of_a_fixed_length_reads_no_batch_too_many():
    data = Counted()
    with feed(data, steps=7) as source:
        assert drain(source, 3) == (list(range(7)), [3, 3, 1])
        time.sleep(0.02)
        assert data.read == 7
        source.begin(4)
        assert drain(source, 100)[0] == [7, 8, 9, 10]
        assert data.read == 11
        assert data.opened == 1


def test_what_was_read_ahead_is_not_lost_when_a_pass_is_left_early():
    data = Counted()
    with feed(data, steps=100, ahead=20) as source:
        assert source.take(2).leaves[0].tolist() == [[0], [1]]
        while data.read < 22:
            time.sleep(0.001)
        source.begin(30)
        assert drain(source, 7)[0] == list(range(2, 32))


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_the_data_begin_again_at_their_end(limit):
    data = Counted(length=3)
    with feed(data, steps=8) as source:
        assert drain(source, limit)[0] == [0, 1, 2, 0, 1, 2, 0, 1]
        source.begin(1)
        assert drain(source, limit)[0] == [2]
        assert data.opened == 3
        source.begin(1)
        assert drain(source, limit)[0] == [0]


def test_nothing_is_read_before_the_first_take_and_little_ahead_of_it():
    data = Counted()
    with feed(data, ahead=4) as source:
        assert data.opened == 0
        source.take(2)
        time.sleep(0.02)
        assert 2 <= data.read <= 6


def test_reading_on_demand_reads_nothing_ahead():
    data = Counted()
    with feed(data, ahead=0) as source:
        source.take(3)
        time.sleep(0.02)
        assert data.read == 3


def test_batches_are_read_while_the_reader_is_away():
    data = Counted()
    with feed(data) as source:
        source.take(5)
        deadline = time.monotonic() + 5
        while data.read < 15 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert data.read == 15


def test_an_exception_comes_out_unchanged_after_the_batches_before_it():
    error = ConnectionError("the source is gone")

    def stream():
        yield np.zeros(1)
        yield np.ones(1)
        raise error

    with feed(stream()) as source:
        assert source.take(10).count == 2
        for _ in range(2):
            with pytest.raises(ConnectionError, match="gone") as caught:
                source.take(10)
            assert caught.value is error
        names = [entry.name for entry in caught.traceback]
        assert "stream" in names  # the traceback leads to the user's own line


def test_a_stop_iteration_inside_a_generator_is_seen_as_python_shows_it():
    def stream():
        yield np.zeros(1)
        next(iter([]))

    with feed(stream()) as source:
        source.take(1)
        with pytest.raises(RuntimeError, match="StopIteration"):
            source.take(1)


def test_a_batch_that_cannot_be_used_is_an_error_at_its_place():
    with feed([np.zeros(1), np.array(["a"])]) as source:
        assert source.take(5).count == 1
        with pytest.raises(DataError, match="dtype <U1"):
            source.take(5)


def test_an_iterable_without_batches_is_refused():
    with feed([]) as source, pytest.raises(DataError, match="a list, gave no batch"):
        source.take(1)
    with (
        feed(Counted(0), steps=3) as source,
        pytest.raises(DataError, match=r"a Counted, gave no batch. Expected"),
    ):
        source.take(1)


def test_a_generator_that_was_read_before_is_refused():
    data = (batch for batch in [np.zeros(1)])
    with feed(data) as source:
        assert drain(source, 2)[0] == [0]
    with (
        feed(data) as source,
        pytest.raises(DataError, match=r"only once.*Pass a list"),
    ):
        source.take(1)


def test_a_generator_too_short_for_the_pass_gives_what_it_has_and_then_says_so():
    with feed((np.zeros(1) for _ in range(3)), steps=5) as source:
        assert source.take(5).count == 3
        with pytest.raises(DataError, match=r"a generator, gave no batch: .*only once"):
            source.take(5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 2)), r"are arrays \(ndarray\).*ol.Batches"),
        ((np.zeros(3), np.zeros(3)), r"are arrays \(tuple\)"),
        ({"x": np.zeros(3)}, r"are arrays \(dict\)"),
        (5, "The data are 5, of type int.*Expected"),
        ("text", "of type str"),
        (None, "of type NoneType"),
        (drain, r"The data are the function drain\. .*for each pass: .*drain\(\)"),
        (lambda: iter([]), r"the function <lambda>\. .*batches\(\)"),
    ],
)
def test_what_gives_no_batches_is_refused_at_once(data, message):
    with pytest.raises(DataError, match=message):
        feed(data)


def test_tensors_of_the_frameworks_are_arrays():
    tensorflow = pytest.importorskip("tensorflow")
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    for tensor in (torch.zeros(3), tensorflow.zeros(3), jax.numpy.zeros(3)):
        for data in (tensor, (tensor, tensor), (tensor, [0, 1, 2])):
            with pytest.raises(DataError, match=r"are arrays .*ol.Batches"):
                feed(data)
        with feed([(tensor, tensor), (tensor, tensor)]) as source:
            assert drain(source, 10) == ([0, 0], [2])


def test_numbers_in_a_tuple_are_batches():
    with feed((np.float64(1), np.float64(2))) as source:
        assert drain(source, 10) == ([1, 2], [2])


def test_closing_ends_the_thread_even_while_it_waits():
    before = threads()
    source = feed(Counted())
    source.take(1)
    assert threads() == before + 1
    source.close()
    source.close()
    assert threads() == before
    with pytest.raises(DataError, match="after it was closed"):
        source.take(1)


def test_a_feed_that_was_forgotten_ends_its_thread():
    gc.collect()
    before = threads()
    source = feed(Counted())
    source.take(1)
    del source
    gc.collect()
    assert threads() == before


def test_a_source_that_blocks_does_not_keep_a_closed_feed():
    gate = threading.Event()

    def stream():
        yield np.zeros(1)
        gate.wait(10)

    source = feed(stream(), ahead=2)
    source.take(1)
    started = time.monotonic()
    source.close()
    assert time.monotonic() - started < 5
    gate.set()


def test_datasets_of_the_frameworks_are_read_as_they_are():
    tensorflow = pytest.importorskip("tensorflow")
    torch_data = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    x = np.arange(10.0)
    slices = tensorflow.data.Dataset.from_tensor_slices((x, x)).batch(4)
    with feed(slices) as source:
        assert drain(source, 10) == ([0, 4, 8], [2, 1])
    rows = torch_data.TensorDataset(torch.from_numpy(x), torch.from_numpy(x))
    with feed(torch_data.DataLoader(rows, batch_size=4)) as source:
        assert drain(source, 10) == ([0, 4, 8], [2, 1])
