"""On its way back the code sees what it saw there, and so takes the same branches."""

import atexit
import contextlib
import copy
import re
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import FolderError, LoopError


class Script:
    """A small run that is killed after a step, and notes what its code sees."""

    def __init__(self, folder, killed_at):
        self.weight = keras.Variable(1.0, name="weight")
        self.data = ol.Batches(np.arange(2, dtype="float32"), batch_size=1)
        self.killed_at = killed_at
        self.seen = []
        self.loop = ol.Loop(
            compile=False, observers=[], folder=folder, save=1, weight=self.weight
        )

    @property
    def memory(self):
        return self.loop.memory

    def count(self, name):
        self.memory[name] = self.memory.get(name, 0) + 1

    def look(self, place):
        loop, history = self.loop, self.loop.history
        steps = {name: column.tolist() for name, column in history.steps.items()}
        looks = {name: history.looks(name).value.tolist() for name in history.names}
        row = dict(history.row(loop.epoch + 1))
        counts, rows = (loop.step, loop.epoch), history.to_dict()
        # As text, in which NaN equals NaN.
        self.seen.append(repr((place, counts, loop.memory, steps, looks, row, rows)))

    def step(self, x):
        self.weight.assign(self.weight * 0.9 + 0.1 * keras.ops.sum(x))
        return {"loss": keras.ops.sum(self.weight.value)}

    def train(self, epoch, name="train", *, looks=False):
        for _ in epoch.train(self.step, self.data, every=1, name=name):
            if self.loop.step == self.killed_at:
                raise Killed
            self.count(f"chunks of {name}")
            if looks:
                epoch.validate(self.step, self.data)


def a_round_between_two(script):
    """The one of the reader who tunes once."""
    script.memory["begun"] = True
    for epoch in script.loop.epochs(2):
        script.train(epoch)
    script.look("between")
    if not script.memory.get("tuned"):
        for epoch in script.loop.epochs(4):
            script.train(epoch, "tuning")
        script.memory["tuned"] = True
    script.look("after")
    for epoch in script.loop.epochs(6):
        script.train(epoch)


def a_validation_before_and_between(script):
    script.memory["before"] = script.loop.validate(script.step, script.data).loss
    script.look("before")
    if len(script.memory) == 1:
        script.loop.validate(script.step, script.data, name="more")
    for epoch in script.loop.epochs(2):
        script.train(epoch)
    if "late" not in script.memory:
        script.memory["late"] = script.loop.validate(script.step, script.data).loss
    script.look("between")
    with contextlib.suppress(ZeroDivisionError):
        script.loop.validate(lambda x: 1 // 0, script.data)
    script.memory["later"] = script.loop.validate(script.step, script.data).loss
    script.look("behind another one")
    for epoch in script.loop.epochs(3):
        script.train(epoch, looks=True)
        script.train(epoch, "second")


def a_head_that_is_done_once(script):
    for epoch in script.loop.epochs(3):
        script.look("head")
        if script.memory.get("head") != epoch.number:
            script.memory["head"] = epoch.number
            script.train(epoch, "first")
        script.look("behind the first")
        if script.memory["chunks of first"] == 2 * epoch.number:
            script.train(epoch, "second")
        script.look("behind the second")
        if script.loop.step % 6 == 4:
            epoch.validate(script.step, script.data)
            script.memory.pop("chunks of third", None)
        script.look("behind the validation")
        script.train(epoch, "third")


def branches_on_the_history(script):
    for epoch in script.loop.epochs(2):
        script.train(epoch)
        script.train(epoch, "second", looks=True)
        script.look("behind the body")
        if script.loop.history.lowest("val_loss").age == 2 * epoch.number - 1:
            script.train(epoch, "third")
        epoch.validate(script.step, script.data)
        script.look("behind it")
        if "val_loss" in script.loop.history and epoch["val_loss"] > 0.65:
            script.train(epoch, "fourth")
    script.look("between")
    if script.loop.history["train_loss"].size < 3:
        script.loop.validate(script.step, script.data)
        for epoch in script.loop.epochs(3):
            script.train(epoch)
    for epoch in script.loop.epochs(5):
        script.train(epoch)


def rounds_within_the_body_of_a_for(script):
    script.memory["turns"] = 0
    while script.memory["turns"] < 3:
        for epoch in script.loop.epochs(script.loop.epoch + 1):
            script.look("head")
            script.train(epoch)
            script.train(epoch, "again")
            if script.memory["turns"] == 1:
                script.loop.stop("enough")
        script.count("turns")
        script.look("turn")


SCRIPTS = [
    a_round_between_two,
    a_validation_before_and_between,
    a_head_that_is_done_once,
    branches_on_the_history,
    rounds_within_the_body_of_a_for,
]


def play(way, folder=None, killed_at=None):
    """Runs a script; returns what came of it, and what its code saw."""
    script = Script(folder, killed_at)
    way(script)
    steps = {n: c.tolist() for n, c in script.loop.history.steps.items()}
    weight = float(keras.ops.convert_to_numpy(script.weight))
    end = script.loop.step, weight, steps, copy.deepcopy(script.memory)
    return end, script.seen


@pytest.mark.in_turn(of=("jax",), most=2)
@pytest.mark.parametrize("way", SCRIPTS)
def test_a_branch_on_memory_or_steps_goes_the_same_way(tmp_path, way):
    whole, seen = play(way)
    for at in range(1, whole[0] - 1, 2):
        folder = tmp_path / str(at)
        for kill in (at, at + 1, at + 2):
            with pytest.raises(Killed):
                play(way, folder, killed_at=kill)
        end, again = play(way, folder)
        assert end == whole
        # Heads of finished rounds and epochs are not come by.
        assert [place for place in again if place not in seen] == []
        assert again[-1] == seen[-1]


def a_branch_on_a_variable(script, is_first):
    """What the variable says is lost where a process ends."""
    for epoch in script.loop.epochs(2):
        script.train(epoch)
    if is_first:
        for epoch in script.loop.epochs(4):
            script.train(epoch, "tuning")
    for epoch in script.loop.epochs(6):
        script.train(epoch)


def test_a_round_is_not_answered_with_another_one(tmp_path):
    with pytest.raises(Killed):
        a_branch_on_a_variable(Script(tmp_path, killed_at=11), is_first=True)
    words = (
        r"exactly: round 2 of `loop.epochs`, which is over, was for 4 epochs and "
        r"is for 6; perhaps a branch depends .*\. Expected what it began .*\. Restore"
    )
    with pytest.raises(FolderError, match=words):
        a_branch_on_a_variable(Script(tmp_path, None), is_first=False)
    script = Script(tmp_path, None)
    a_branch_on_a_variable(script, is_first=True)
    assert script.loop.step == 12


def test_a_call_is_not_answered_with_another_one(tmp_path):
    def play(killed_at, is_first):
        script = Script(tmp_path, killed_at)
        for epoch in script.loop.epochs(2):
            script.train(epoch)
            if is_first:
                epoch.validate(script.step, script.data)
            script.train(epoch, "second")
            script.train(epoch, "third")
        return script.loop.step

    with pytest.raises(Killed):
        play(12, is_first=True)
    words = (
        "exactly: call 2 of epoch 2 was 'val: step' and is 'second: step'"
        r"; perhaps a branch depends .*\. Expected what it began with, .*\. Restore"
    )
    with pytest.raises(FolderError, match=words):
        play(None, is_first=False)
    assert play(None, is_first=True) == 12


def test_a_round_does_not_end_before_the_epoch_that_the_run_was_in(tmp_path):
    def play(killed_at, total):
        script = Script(tmp_path, killed_at)
        for epoch in script.loop.epochs(total):
            script.train(epoch)
        return script.loop.step

    with pytest.raises(Killed):
        play(8, 5)  # Saved in the fourth epoch.
    words = (
        r"at its end with epoch 3; the run in this folder was interrupted in epoch 4\. "
        r"Expected the code that began the run.*\. Ask for 4 epochs"
    )
    with pytest.raises(LoopError, match=words):
        play(None, 3)
    assert play(None, 4) == 8


def test_a_pass_is_not_gone_on_with_under_another_name(tmp_path):
    def play(killed_at, name):
        script = Script(tmp_path, killed_at)
        for epoch in script.loop.epochs(2):
            script.train(epoch, name)

    with pytest.raises(Killed):
        play(4, "train")
    words = (
        r"exactly: pass 'other': name was 'train' and is 'other'\. Expected what it "
        r"began with, .*\. Restore"
    )
    with pytest.raises(FolderError, match=words):
        play(None, "other")
    play(None, "train")


def test_what_a_cell_puts_into_memory_is_seen_on_the_way_back(tmp_path):
    script, seen, asked = Script(tmp_path, None), [], []

    def cell():
        for epoch in script.loop.epochs(1):
            seen.append(script.memory.get("rate"))
            script.train(epoch)
            for _ in epoch.train(script.step, script.data, every=1, name="second"):
                if not asked:
                    asked.append(signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        cell()
    script.memory["rate"] = 0.5
    cell()
    assert seen == [None, 0.5]
    assert script.memory == {"rate": 0.5, "chunks of train": 2}
    assert script.loop.step == 4


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_script_that_ends_before_it_is_back_is_told_so(
    tmp_path, monkeypatch, is_lost
):
    ends, said = [], []
    monkeypatch.setattr(atexit, "register", lambda *end: ends.append(end))

    def play(killed_at, turns):
        script = Script(tmp_path, killed_at)
        script.loop._run.observers.append(said.append)
        for _ in range(turns):
            for epoch in script.loop.epochs(script.loop.epoch + 2):
                script.train(epoch)
        return script

    with pytest.raises(Killed):
        play(11, 3)
    script = play(None, 1 if is_lost else 3)
    ((tell, home),) = ends
    said.clear()
    tell(home)
    words = r"the script has ended, and has not come to epoch [56], in round 3.*\. Exp"
    assert [bool(re.search(words, notice.text)) for notice in said] == [True] * is_lost
    assert script.loop.step == (4 if is_lost else 12)
