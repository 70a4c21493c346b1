"""Code that trains in several rounds counts on from where each one began."""

import os
import signal

import pytest

from killed import Killed
from ownloop.events import Started, Stopped
from ownloop.loop.saving import Saving
from ownloop.resume.calls import Calls
from ownloop.resume.place import Done


def test_a_place_knows_how_far_the_run_was_when_each_round_was_over():
    now, first = Done(3, 12), Done(2, 8)
    earlier = Calls()
    earlier.enter_round(2, done=0)
    earlier.leave_round(None, lambda: first)
    earlier.enter_round(4, done=2)
    earlier.enter_epoch(4)
    calls = Calls()
    calls.go_to(earlier.place())
    assert calls.position(now) == Done(0, 0)
    assert calls.enter_round(2, done=3) == (False, None)
    assert calls.position(now) == Done(0, 0)
    calls.leave_round(None, lambda: now)
    assert calls.position(now) == first
    assert calls.enter_round(4, done=3) == (True, None)
    assert calls.position(now) == now
    calls.enter_epoch(4)
    assert calls.place() == earlier.place()


# In the first round, before the second has saved, after that, and within an epoch.
@pytest.mark.parametrize(("killed_in", "asked"), [(2, 0), (3, 0), (4, 0), (4, 1)])
def test_a_round_of_so_many_epochs_more_ends_where_it_would_have(
    tmp_path, small_run, killed_in, asked
):
    def play(name, at=None):
        _, data, step, loop = small_run(tmp_path / name)
        told = []
        for total in (2, 2, 1):
            told.append((loop.step, loop.epoch, loop.stopped))
            for epoch in loop.epochs(loop.epoch + total):
                for chunk in epoch.train(step, data, every=2):
                    if epoch.number == at and chunk.batch == 2:
                        if not asked:
                            raise Killed
                        os.kill(os.getpid(), signal.SIGTERM)
                if epoch.number == 4:
                    loop.stop("enough")
        told.append((loop.step, loop.epoch, loop.stopped))
        return told, loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    assert [place[1] for place in expected[0]] == [0, 2, 4, 5]
    with pytest.raises(SystemExit if asked else Killed):
        play("killed", at=killed_in)
    assert play("killed") == expected
    assert play("killed") == expected


def test_before_the_first_round_nothing_is_done_for_the_code(tmp_path, small_run):
    def play():
        _, data, step, loop = small_run(tmp_path / "run")
        loop.validate(step, data)
        told = loop.step, loop.epoch, loop.stopped
        for epoch in loop.epochs(loop.epoch + 2):
            epoch.train(step, data).run()
            loop.stop("enough")
        return told, loop.step, loop.stopped

    assert play() == play() == ((0, 0, None), 4, "enough")


def test_observers_hear_of_a_finished_round_as_it_was(tmp_path, small_run):
    def play():
        _, data, step, loop = small_run(tmp_path / "run")
        told = []
        loop._run.observers.append(told.append)
        for _ in range(2):
            for epoch in loop.epochs(loop.epoch + 2):
                epoch.train(step, data).run()
        return [e for e in told if isinstance(e, Started | Stopped)]

    assert play() == play()


def test_more_epochs_than_before_may_be_asked_for(tmp_path, small_run):
    def play(name, more):
        _, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
        for epoch in loop.epochs(loop.epoch + more):
            epoch.train(step, data).run()
        return loop.epoch, loop.history.steps["train_loss"].tolist()

    play("run", 1)
    assert play("run", 3) == play("whole", 3)


def test_a_round_whose_end_was_not_saved_ends_with_what_it_had(
    tmp_path, small_run, monkeypatch
):
    def play(name, at=None):
        _, data, step, loop = small_run(tmp_path / name)
        told = []
        for total in (2, 4):
            for epoch in loop.epochs(total):
                epoch.train(step, data).run()
                loop.memory["epochs"] = loop.memory.get("epochs", 0) + 1
                if epoch.number == at:
                    raise Killed
            told.append((dict(loop.memory), len(loop.history.epochs["train_loss"])))
        return told

    expected = play("whole")
    assert expected == [({"epochs": 2}, 2), ({"epochs": 4}, 4)]

    def die(saving):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Saving, "now", die)  # It saves the end of a round.
        with pytest.raises(Killed):
            play("killed")
    with pytest.raises(Killed):
        play("killed", at=4)
    assert play("killed") == expected
    assert play("killed") == expected
