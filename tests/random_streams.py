"""Streams that draw random numbers, and say how: shared by the tests of streams.

The loaders are PyTorch's, whichever backend trains.
"""

import random

import keras
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")

NOT_ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="as on JAX: there, too, the loader's generator is not the backend's",
)
IN_TURN = pytest.mark.in_turn(of=("jax", "torch"))


class Rows(torch_data.Dataset):
    """Twenty rows; with noise, drawn anew from every generator at each access."""

    def __init__(self, *, noise=False):
        self.noise = noise

    def __len__(self):
        return 20

    def __getitem__(self, i):
        row = torch.tensor([float(i)])
        if self.noise:
            row = row + torch.rand(1) + np.random.uniform() + random.random()
        return row.float()


class Shuffled:
    """Batches in another order each time, by one of Python's generators."""

    def __init__(self, draw):
        self.draw = draw

    def __iter__(self):
        order = self.draw()
        return (np.full((2, 1), float(i), "float32") for i in order)


class Sized(Shuffled):
    def __len__(self):
        return 10


def by_python():
    return random.sample(range(10), 10)


def by_numpy():
    return np.random.permutation(10)


def by_seed():
    return np.random.default_rng(3).permutation(10)


def loader(**options):
    options = {"batch_size": 2, "shuffle": True, **options}
    noise = options.pop("noise", False)
    return torch_data.DataLoader(Rows(noise=noise), **options)


def with_generator():
    return loader(generator=torch.Generator().manual_seed(4))


def with_sampler():
    generator = torch.Generator().manual_seed(4)
    sampler = torch_data.RandomSampler(Rows(), generator=generator)
    return loader(sampler=sampler, shuffle=False)


class Turning:
    """Batches in an order that depends on how often they were opened in a process."""

    def __init__(self):
        self.times = 0

    def __iter__(self):
        self.times += 1
        order = np.random.default_rng(self.times).permutation(10)
        return (np.full((2, 1), float(i), "float32") for i in order)


class LateTurning(Turning):
    """So by how often they were read."""

    def __iter__(self):
        yield from super().__iter__()


class SizedTurning(Turning):
    def __len__(self):
        return 10


STREAMS = {
    "loader": loader,
    "loader in order": lambda: loader(shuffle=False),
    "loader with noise": lambda: loader(noise=True),
    "by python": lambda: Shuffled(by_python),
    "by numpy": lambda: Sized(by_numpy),
    "by a seed": lambda: Shuffled(by_seed),
    "by how often": Turning,
    "by how often, late": LateTurning,
    "loader with a generator": with_generator,
    "loader with a sampler": with_sampler,
    "by how often, sized": SizedTurning,
}
