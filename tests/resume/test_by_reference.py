"""What the user's code holds in its hands stays what the run goes on with."""

import os
import signal

import keras
import numpy as np
import pytest

import ownloop as ol

DATA = ol.Batches(np.arange(10, dtype="float32"), batch_size=1)


def step(x):
    return keras.ops.sum(x)


class Counter:
    """Gives its own list away, and takes one for its own."""

    def __init__(self):
        self.seen = []

    def get_state(self):
        return self.seen

    def set_state(self, state):
        self.seen = state


def test_a_list_that_was_taken_from_memory_on_the_way_back_is_the_runs(tmp_path):
    def play(name, at=None):
        loop = ol.Loop(compile=False, observers=[], folder=tmp_path / name, save=2)
        for epoch in loop.epochs(2):
            seen = loop.memory.setdefault("seen", [])
            counts = loop.memory.setdefault("counts", {"of": {"looks": [0]}})["of"]
            for chunk in epoch.train(step, DATA, every=2):
                seen.append([chunk.step])
                seen[0].append("first")
                counts["looks"][0] += 1
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return loop.memory

    expected = play("whole")
    assert expected["counts"]["of"]["looks"] == [10]
    with pytest.raises(SystemExit):
        play("asked", at=16)
    assert play("asked") == expected


@pytest.mark.parametrize("asked", [False, True])
def test_a_state_that_is_an_objects_own_list_is_kept_as_it_was(tmp_path, asked):
    def play(at=None):
        counter = Counter()
        loop = ol.Loop(
            compile=False, observers=[], folder=tmp_path, save=2, counter=counter
        )
        for epoch in loop.epochs(3):
            for chunk in epoch.train(step, DATA, every=5):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
            counter.seen.append(epoch.number)
            if epoch.number == 1:
                loop.save("one")
        assert counter.seen == [1, 2, 3]
        for _ in range(2):
            loop.load("one")
            assert counter.seen == [1]
            counter.seen.append("more")

    if asked:
        with pytest.raises(SystemExit):
            play(at=15)
    play()
