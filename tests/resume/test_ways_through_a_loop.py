"""Rounds that are left, errors that are caught, and data that change with the round.

Each script is run whole, without a folder, and killed before and after what is odd.
"""

import contextlib

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import DataError, NonFiniteError


class Script:
    """A weight whose value tells in which order batches came, and what came."""

    def __init__(self, folder, killed_at):
        self.weight = keras.Variable(1.0, name="weight")
        self.killed_at = killed_at
        self.loop = ol.Loop(
            compile=False, observers=[], folder=folder, save=1, weight=self.weight
        )

    def step(self, x):
        self.weight.assign(self.weight * 0.9 + 0.1 * keras.ops.sum(x))
        return {"x": keras.ops.sum(x), "loss": keras.ops.sum(self.weight.value)}

    def train(self, epoch, data, **how):
        for _ in epoch.train(self.step, data, every=1, **how):
            self.look()

    def look(self):
        if self.loop.step == self.killed_at:
            raise Killed

    def halve(self):
        self.weight.assign(self.weight * 0.5)


def batches(first=0, count=3):
    numbers = np.arange(first, first + count, dtype="float32")
    return ol.Batches(numbers, batch_size=1)


def left_in_an_epoch(script):
    """Nothing is called between the rounds, and yet something is done there."""
    data = batches()
    for epoch in script.loop.epochs(9):
        script.train(epoch, data)
        if epoch.number == 2:
            break
    script.halve()
    for epoch in script.loop.epochs(4):
        script.train(epoch, data, name="second")


def left_after_an_error_that_was_caught(script):
    data, spoilt = batches(), ol.Batches(np.float32([1, np.nan]), batch_size=1)
    for epoch in script.loop.epochs(9):
        script.train(epoch, data)
        if epoch.number == 2:
            with contextlib.suppress(NonFiniteError):
                epoch.train(script.step, spoilt, name="spoilt").run()
            script.train(epoch, data, name="more")
            break
    script.halve()
    for epoch in script.loop.epochs(4):
        script.train(epoch, data, name="second")


def other_data_in_another_round(script):
    for total, data in ((2, batches()), (4, batches(10))):
        for epoch in script.loop.epochs(total):
            script.train(epoch, data)


def other_data_in_a_body(script):
    """Both passes have the name that passes have by default."""
    outer, inner = batches(count=4), batches(10, 2)
    for epoch in script.loop.epochs(2):
        for _ in epoch.train(script.step, outer, every=2):
            script.look()
            script.train(epoch, inner)


SCRIPTS = {
    left_in_an_epoch: (6, 7),
    left_after_an_error_that_was_caught: (8, 11),
    other_data_in_another_round: (7, 8),
    other_data_in_a_body: (6, 8),
}
"""Each with the steps at which it is killed."""


def play(way, folder=None, killed_at=None):
    """Runs a script; returns what came of it, as text, in which NaN equals NaN."""
    script = Script(folder, killed_at)
    way(script)
    loop = script.loop
    steps = {name: column.tolist() for name, column in loop.history.steps.items()}
    weight = float(keras.ops.convert_to_numpy(script.weight))
    return repr((weight, steps, loop.history.to_dict(), loop.memory, loop.epoch))


@pytest.mark.parametrize("way", SCRIPTS)
def test_a_folder_changes_nothing(tmp_path, way):
    assert play(way, tmp_path / "run") == play(way)


@pytest.mark.parametrize("way", SCRIPTS)
def test_a_script_that_was_killed_ends_the_same(tmp_path, way):
    expected = play(way)
    for at in SCRIPTS[way]:
        with pytest.raises(Killed):
            play(way, tmp_path / str(at), killed_at=at)
        assert play(way, tmp_path / str(at)) == expected


@pytest.mark.parametrize("at", [6, 13])
def test_a_call_that_failed_is_not_compared_with_one_that_is_over(tmp_path, at):
    def rows():
        while True:
            yield np.ones((2, 1), "float32")

    def play(name, at=None):
        weight, stream = keras.Variable(1.0, name="weight"), rows()

        def step(x):
            weight.assign(0.9 * weight + keras.ops.mean(x))
            return {"loss": weight.value}

        data = [np.zeros((2, 1), "float32")] * 4
        loop = ol.Loop(
            compile=False, observers=[], folder=tmp_path / name, save=1, weight=weight
        )
        for epoch in loop.epochs(2):
            epoch.train(step, stream, steps=3).run()
            with pytest.raises(DataError):
                epoch.train(step, []).run()
            for _ in epoch.train(step, data, name="second", every=1):
                if loop.step == at:
                    raise Killed
        return loop.history.to_dict()

    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == play("whole")
