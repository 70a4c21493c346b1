"""Generators of random numbers that a stream may draw from."""

import pickle

import numpy as np
import pytest

from ownloop.data import StreamGenerators

torch = pytest.importorskip("torch")


class NoGenerators:
    """Stands for those of the process."""

    def __init__(self):
        self.written = []

    def read(self):
        return {"common": 1}

    def write(self, states):
        self.written.append(states)

    def pack(self, states):
        return dict(states)

    def drawn(self, before, now):
        return {n for n in now if pickle.dumps(before[n]) != pickle.dumps(now[n])}


def loader(**options):
    return torch.utils.data.DataLoader(list(range(6)), **options)


def seeded():
    return torch.Generator().manual_seed(1)


STREAMS = {
    "of a loader": lambda g: loader(shuffle=True, generator=g),
    "of a sampler": lambda g: loader(
        sampler=torch.utils.data.RandomSampler(range(6), generator=g)
    ),
    "of a batch sampler": lambda g: loader(
        batch_sampler=torch.utils.data.BatchSampler(
            torch.utils.data.RandomSampler(range(6), generator=g), 2, drop_last=False
        )
    ),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_loaders_own_generator_is_put_back(stream):
    stream = STREAMS[stream](seeded())
    generators = StreamGenerators(NoGenerators(), stream)
    before = generators.read()
    one, other = ([batch.tolist() for batch in stream] for _ in range(2))
    assert one != other
    assert generators.drawn(before, generators.read()) == {"own 0"}
    generators.write(before)
    assert [batch.tolist() for batch in stream] == one


def test_a_generator_in_two_places_counts_once():
    stream = loader(shuffle=True, generator=seeded())
    assert stream.generator is stream.sampler.generator
    assert list(StreamGenerators(NoGenerators(), stream).read_own()) == ["own 0"]


def test_common_ones_are_written_by_whom_they_belong_to():
    common = NoGenerators()
    generators = StreamGenerators(common, loader(shuffle=True, generator=seeded()))
    generators.write(generators.read())
    assert common.written == [{"common": 1}]


@pytest.mark.parametrize(
    "stream", [[1, 2], loader(), np.random.RandomState(1), iter([1])], ids=range(4)
)
def test_other_streams_have_none_of_their_own(stream):
    assert StreamGenerators(NoGenerators(), stream).read_own() == {}
