"""A stream that failed is read on behind what it gave."""

import random

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from random_streams import NOT_ON_TENSORFLOW, STREAMS, torch

pytestmark = NOT_ON_TENSORFLOW


class Hiccup:
    """A stream that fails once, for a moment, before a batch of its second opening."""

    def __init__(self, stream, at):
        self.stream, self.at, self.opened = stream, at, 0

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __iter__(self):
        self.opened += 1
        self.fail_at(0)
        for i, batch in enumerate(self.stream):
            yield batch
            self.fail_at(i + 1)

    def fail_at(self, place):
        if (self.opened, place) == (2, self.at):
            raise OSError("the network is away")


def play_on(folder, make, hiccup, at=None):
    """Train six epochs of six steps each, and take no notice of what is away."""
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    weight, failed = keras.Variable(1.0, name="weight"), []
    data = Hiccup(make(), hiccup)

    def step(x):
        weight.assign(0.9 * weight + keras.ops.mean(x))
        return {"x": keras.ops.sum(x)}

    loop = ol.Loop(compile=False, observers=[], folder=folder, save=1, w=weight)
    for epoch in loop.epochs(6):
        try:
            for chunk in epoch.train(step, data, every=1, steps=6):
                if chunk.step == at:
                    raise Killed
        except OSError:
            failed.append(epoch.number)
    came = np.asarray(loop.history.steps["train_x"]).tolist()
    return failed, came, (random.random(), np.random.uniform(), torch.rand(1).item())


@pytest.mark.in_turn(of=("jax", "torch"), most=5)
@pytest.mark.parametrize(
    ("stream", "hiccup"),
    [
        *((stream, 3) for stream in STREAMS),
        *((stream, at) for stream in ("loader", "by how often") for at in (0, 10)),
    ],
)
def test_a_stream_that_was_away_goes_on_behind_what_it_gave(tmp_path, stream, hiccup):
    make = STREAMS[stream]
    failed, came, ends = play_on(tmp_path / "whole", make, hiccup)
    assert len(failed) == 1
    assert len(came) == 30 + (10 + hiccup) % 6
    if "how often" not in stream:
        _, expected, _ = play_on(None, make, None)
        assert came == expected[: len(came)]
    with pytest.raises(Killed):
        play_on(tmp_path / "killed", make, hiccup, len(came) - 10)
    assert play_on(tmp_path / "killed", make, None) == ([], came, ends)


@pytest.mark.parametrize("stream", ["loader", "by numpy"])
def test_so_where_nothing_is_kept(stream):
    failed, came, _ = play_on(None, STREAMS[stream], 3)
    _, expected, _ = play_on(None, STREAMS[stream], None)
    assert failed == [3]
    assert came == expected[:31]
