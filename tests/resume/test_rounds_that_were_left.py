"""Epochs that were left by `break` are over; what comes after them goes on."""

import pytest

import ownloop as ol
from ownloop.events import Notice
from ownloop.resume.calls import Calls, Done


class Killed(BaseException):
    """Stands for the end of a process: nothing is saved on the way out."""


def test_a_round_that_was_left_is_not_gone_on_with():
    earlier = Calls()
    earlier.enter_round(10, done=0)
    earlier.enter_epoch(1)
    earlier.leave_round(None, Done(1, 4), is_left=True)
    calls = Calls()
    calls.go_to(earlier.place())
    assert calls.enter_round(10, done=1) == (False, None)
    calls.leave_round(None, Done(1, 4))
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
