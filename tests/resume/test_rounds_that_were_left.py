"""Epochs that were left by `break` are over; what comes after them goes on."""

import contextlib
import os
import signal

import keras
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import DataError, LoopError
from ownloop.events import Notice, Stopped
from ownloop.resume.calls import Calls
from ownloop.resume.place import Done


def test_a_round_that_was_left_is_not_gone_on_with():
    earlier = Calls()
    earlier.enter_round(10, done=0)
    earlier.enter_epoch(1)
    earlier.leave_round(None, lambda: Done(1, 4), is_left=True)
    calls = Calls()
    calls.go_to(earlier.place())
    assert calls.enter_round(10, done=1) == (False, None)
    calls.leave_round(None, lambda: Done(1, 4))
    assert calls.place() == earlier.place()
    assert calls.enter_round(10, done=1) == (True, None)


# Before the second round has saved an epoch, and after it.
@pytest.mark.parametrize("killed_in", [3, 4])
def test_nothing_has_stopped_a_run_whose_loop_was_left(tmp_path, small_run, killed_in):
    def play(name, at=None):
        weight, data, step, loop = small_run(tmp_path / name)
        told = []
        for epoch in loop.epochs(5):
            epoch.train(step, data).run()
            if epoch.number == 2:
                break
        told.append(loop.stopped)
        weight.assign(weight * 0.5)
        told.append(loop.validate(step, data).loss)
        for epoch in loop.epochs(5):
            epoch.train(step, data).run()
            if epoch.number == at:
                raise Killed
        told.append(loop.stopped)
        return told, loop.epoch, loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    assert expected[0][0] is None
    assert expected[1] == 5
    with pytest.raises(Killed):
        play("killed", at=killed_in)
    assert play("killed") == expected


class Bar:
    """Holds what it iterates, as a progress bar with a name does."""

    def __init__(self, iterable):
        self.iterable = iterable

    def __iter__(self):
        yield from self.iterable


# In the first round; in the second one, before it has saved an epoch, and after it.
@pytest.mark.parametrize("killed_in", [2, 3, 4])
@pytest.mark.parametrize("hold", [lambda epochs: epochs, Bar])
def test_a_loop_over_epochs_with_a_name_that_was_left_is_over(
    tmp_path, small_run, hold, killed_in
):
    def play(name, hold, at=None):
        weight, data, step, loop = small_run(name and tmp_path / name)
        told = []
        bar = hold(loop.epochs(10))
        for epoch in bar:
            epoch.train(step, data).run()
            if epoch.number == at:
                raise Killed
            if epoch.number == 2:
                break
        told.append((loop.epoch, loop.step, loop.stopped))
        told.append(loop.validate(step, data).loss)
        loop.save("two")
        weight.assign(weight * 0.5)
        told.append(loop.validate(step, data).loss)
        loop.load("two")
        more = hold(loop.epochs(loop.epoch + 2))
        for epoch in more:
            epoch.train(step, data).run()
            if epoch.number == at:
                raise Killed
        told.append((loop.epoch, loop.step, loop.validate(step, data).loss))
        del bar, more
        columns = loop.history.steps["train_loss"], loop.history["train_loss"]
        looks = loop.history.looks("test_loss").value.tolist()
        return told, looks, *(column.tolist() for column in columns)

    expected = play(None, hold)
    assert [expected[0][0], expected[0][-1][:2]] == [(2, 8, None), (4, 16)]
    assert play("whole", hold) == expected
    with pytest.raises(Killed):
        play("killed", hold, at=killed_in)
    assert play("killed", hold) == expected
    assert play("killed", hold) == expected


def test_a_script_that_held_on_to_a_round_is_mended_and_goes_on(tmp_path, small_run):
    def play(name, holds):
        _, data, step, loop = small_run(tmp_path / name)
        pairs = enumerate(loop.epochs(10))
        for _, epoch in pairs:
            epoch.train(step, data).run()
            if epoch.number == 3:
                break
        if not holds:
            del pairs
        for epoch in loop.epochs(5):
            epoch.train(step, data).run()
        return loop.epoch, loop.history.steps["train_loss"].tolist()

    with pytest.raises(LoopError, match=r"epoch 3 is under way.*let go"):
        play("run", holds=True)
    assert play("run", holds=False) == play("whole", holds=False)


def test_it_is_said_that_a_loop_that_was_left_is_not_gone_on_with(tmp_path, small_run):
    def play():
        said = []
        weight, data, step, _ = small_run(None)
        loop = ol.Loop(
            compile=False, observers=[said.append], folder=tmp_path, w=weight
        )
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
            break
        for epoch in loop.epochs(3):
            epoch.train(step, data).run()
        return [e.text for e in said if isinstance(e, Notice) and "left" in e.text]

    assert play() == []
    (text,) = play()
    assert "by `break` or an exception" in text


# Before the second round has saved an epoch, and after it.
@pytest.mark.parametrize("killed_in", [3, 4])
def test_a_loop_left_at_an_epochs_head_ends_with_the_state_in_memory(
    tmp_path, small_run, killed_in
):
    def play(name, at=None):
        weight, data, step, loop = small_run(name and tmp_path / name)
        told = []
        for epoch in loop.epochs(9):
            if len(loop.history) == 2 and not loop.memory.get("second"):
                break
            epoch.train(step, data).run()
        told.append((loop.step, loop.epoch, loop.stopped))
        weight.assign(weight * 0.5)
        loop.memory["second"] = True
        for epoch in loop.epochs(5):
            epoch.train(step, data).run()
            if epoch.number == at:
                raise Killed
        return told, loop.epoch, loop.history.steps["train_loss"].tolist()

    expected = play(None)
    assert expected[0] == [(8, 2, None)]
    assert play("whole") == expected
    with pytest.raises(Killed):
        play("killed", at=killed_in)
    assert play("killed") == expected
    assert play("killed") == expected


def test_observers_hear_that_a_loop_was_left_at_an_epochs_head(small_run):
    said = []
    _, data, step, loop = small_run(None)
    loop._run.observers.append(said.append)
    for epoch in loop.epochs(3):
        if epoch.number == 2:
            break
        epoch.train(step, data).run()
    assert isinstance(said[-1], Stopped)
    assert said[-1].reason == "the loop was left in epoch 2"
    assert said[-1].epoch == 1


@pytest.mark.parametrize("left_by", ["break", "an error", "a refusal"])
def test_an_epoch_left_on_the_way_back_is_gone_on_with(tmp_path, small_run, left_by):
    def cell(run, at=None, left=None):
        _, data, step, loop = run
        for epoch in loop.epochs(3):
            if epoch.number == 2 and left == "break":
                break
            if epoch.number == 2 and left == "an error":
                raise KeyError("mine")
            if epoch.number == 2 and left == "a refusal":
                epoch.train(step, data, every=-1)
            epoch.validate(step, data)
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return loop.step, loop.history.steps["train_loss"].tolist()

    expected = cell(small_run(tmp_path / "whole"))
    with pytest.raises(SystemExit):
        cell(small_run(tmp_path / "run"), at=6)
    run = _, data, _, loop = small_run(tmp_path / "run")
    errors = {"break": (), "an error": KeyError, "a refusal": LoopError}[left_by]
    with pytest.raises(errors) if errors else contextlib.nullcontext():
        cell(run, left=left_by)
    # It is a call of its own, and no answer for one of the epoch's.
    loop.validate(lambda x: {"zero": 0 * keras.ops.sum(x)}, data)
    assert loop.history.looks("test_zero").value.tolist() == [0.0]
    assert cell(run) == expected


def test_an_epoch_whose_first_call_is_refused_is_entered_again(tmp_path, small_run):
    def play(name, bad=None):
        weight, data, step, loop = small_run(tmp_path / name)

        def cell(bad=None):
            for epoch in loop.epochs(3):
                weight.assign(weight * 0.5)
                epoch.train(step, [] if epoch.number == bad else data).run()

        if bad:
            with pytest.raises(DataError, match="gave no batch"):
                cell(bad)
        cell()
        return loop.step, loop.history.steps["train_loss"].tolist()

    assert play("mended", bad=2) == play("whole")
