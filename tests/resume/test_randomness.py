"""Generators of random numbers: read, put back, and told apart."""

import random
import sys

import keras
import numpy as np
import pytest

from ownloop.backends import loaders
from ownloop.backends.contract import Snapshot
from ownloop.resume import randomness

DRAWS = {"python": random.random, "numpy": np.random.uniform}


@pytest.mark.parametrize("is_packed", [False, True])
def test_each_generator_is_put_back(is_packed):
    states = randomness.read()
    if is_packed:
        states = randomness.unpack(randomness.pack(states))
    first = [draw() for draw in DRAWS.values()]
    randomness.write(states)
    assert [draw() for draw in DRAWS.values()] == first


@pytest.mark.parametrize("name", DRAWS)
def test_only_what_is_named_is_put_back_and_what_drew_is_named(name):
    states = randomness.read()
    numbers = {n: draw() for n, draw in DRAWS.items()}
    randomness.write({name: states[name]})
    assert {n for n, draw in DRAWS.items() if draw() == numbers[n]} == {name}
    before = randomness.read()
    DRAWS[name]()
    assert randomness.drawn(before, randomness.read()) == {name}


def test_spare_gaussians_are_part_of_the_state():
    random.gauss(0, 1), np.random.normal()
    states = randomness.read()
    spare = random.gauss(0, 1), np.random.normal()
    randomness.write(states)
    assert (random.gauss(0, 1), np.random.normal()) == spare


def test_each_device_of_the_framework_has_a_generator_of_its_own(monkeypatch):
    class Devices:
        random = (np.array([1, 2]), np.array([3, 4]))

        def read(self, variables):
            return Snapshot((), self.random)

        def write(self, variables, snapshot):
            self.random = snapshot.random

    devices = Devices()
    monkeypatch.setattr(randomness.backends, "current", lambda: devices)
    before = randomness.read()
    devices.random = (np.array([1, 2]), np.array([5, 6]))
    now = randomness.read()
    assert randomness.drawn(before, now) == {"framework 1"}
    devices.random = (np.array([7, 8]), np.array([5, 6]))
    states = randomness.unpack(randomness.pack({"framework 1": before["framework 1"]}))
    randomness.write(states)
    assert [part.tolist() for part in devices.random] == [[7, 8], [3, 4]]


def test_pytorchs_loaders_have_their_generator_beside_other_backends(monkeypatch):
    torch = pytest.importorskip("torch")
    is_the_backend = keras.backend.backend() == "torch"
    assert (loaders.read() is None) == is_the_backend
    states = randomness.read()
    assert ("framework" in states, "loaders" in states) == (
        is_the_backend,
        not is_the_backend,
    )
    first = torch.rand(1)
    randomness.write(states)
    assert torch.equal(torch.rand(1), first)
    monkeypatch.delitem(sys.modules, "torch")
    assert loaders.read() is None
