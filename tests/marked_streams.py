"""Streams that are read up to a mark, and a generator that stands for all."""

import time

import numpy as np


class OneGenerator:
    """Stands for all generators of a process: one, whose state is what it has drawn."""

    def __init__(self):
        self.state = 0

    def draw(self):
        self.state += 1
        return self.state

    def read(self):
        return {"one": self.state}

    def glance(self):
        return ()  # of the stream's own, of which there is none

    def write(self, states):
        self.state = states.get("one", self.state)

    def drawn(self, before, now):
        return {name for name in now if before.get(name, now[name]) != now[name]}

    def pack(self, states):
        return dict(states)

    unpack = pack


class Stream:
    """Five batches: numbers that depend on what was drawn when it was opened."""

    def __init__(self, generator, *, at_each=False):
        self.generator, self.at_each = generator, at_each

    def __iter__(self):
        first = 10 * self.generator.draw()
        for i in range(5):
            drawn = self.generator.draw() / 100 if self.at_each else 0
            yield np.array([first + i + drawn])


def take(feed, count):
    found = []
    while len(found) < count and (segment := feed.take(count - len(found))) is not None:
        found += segment.leaves[0].ravel().tolist()
    return found


def soon(condition):
    """Wait for what the reading thread does by itself."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
