"""Code that is run again comes back to where it was, and does nothing twice."""

import contextlib
import os
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.checkpoints import writing
from ownloop.errors import DataError, LoopError
from ownloop.events import PassDone
from ownloop.resume.calls import Calls


def returned(earlier: Calls, **open) -> Calls:
    calls = Calls()
    calls.go_to(earlier.place(**open))
    calls.enter_round(10, done=0)
    calls.enter_epoch(1)
    return calls


def begun() -> Calls:
    calls = Calls()
    calls.enter_round(10, done=0)
    calls.enter_epoch(1)
    return calls


def test_what_its_body_called_is_not_taken_for_a_later_call():
    earlier = begun()
    train = earlier.enter()
    earlier.start(train)
    within = earlier.enter()
    earlier.start(within)
    earlier.finish(within, "within the body")
    earlier.finish(train, "train")
    after = earlier.enter()
    earlier.start(after)
    earlier.finish(after, "after it")
    target = earlier.enter()
    earlier.start(target)

    calls = returned(earlier, open={"batch": 2})
    train = calls.enter()
    calls.skip(train)
    assert train.result == "train"
    assert calls.enter().result == "after it"
    again = calls.enter()
    assert again.open == {"batch": 2}
    calls.start(again)
    assert calls.place(open={"batch": 2}) == earlier.place(open={"batch": 2})


def test_what_was_called_before_it_was_gone_through_is_called_again():
    earlier = begun()
    train, between = earlier.enter(), earlier.enter()
    earlier.start(between)
    earlier.finish(between, "between")
    earlier.start(train)
    earlier.finish(train, "train")
    earlier.enter()

    calls = returned(earlier)
    train = calls.enter()
    assert calls.enter().result == "between"
    calls.skip(train)
    assert calls.enter().is_target


@pytest.mark.parametrize("killed_at", [3, 6, 9, 12])
def test_a_validation_within_a_pass_does_not_stand_for_the_one_after_it(
    tmp_path, killed_at
):
    def play(name, at=None):
        weight = keras.Variable(1.0, name="weight")
        data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)
        told = []

        def step(x):
            weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
            return keras.ops.sum(weight.value)

        def look(x):
            return keras.ops.sum(weight * x)

        folder = tmp_path / name
        loop = ol.Loop(compile=False, observers=[], folder=folder, save=1, w=weight)
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    raise Killed
                if chunk.batch in (1, 3):
                    epoch.validate(look, data, name="within")
            for chunk in epoch.train(step, data, steps=2, every=1, name="more"):
                if chunk.step == at:
                    raise Killed
            told.append((epoch.validate(look, data).loss, epoch["more_loss"]))
        return (
            float(keras.ops.convert_to_numpy(weight)),
            told,
            dict(loop.history.row(2)),
        )

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", killed_at)
    weight, told, row = play("killed")
    assert weight == expected[0]
    assert told == expected[1][-len(told) :]
    assert row == expected[2]


@pytest.mark.parametrize("kind", ["arrays", "stream", "none"])
def test_a_pass_of_steps_that_was_saved_after_its_last_step_has_none_left(
    tmp_path, kind
):
    batches = [np.full(2, i, "float32") for i in range(5)]
    arrays = ol.Batches(np.concatenate(batches), batch_size=2)
    data = {"arrays": arrays, "stream": batches, "none": None}[kind]

    def play(name, at=None):
        weight = keras.Variable(1.0, name="weight")

        def step(x=2.0):
            weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
            return keras.ops.sum(weight.value)

        def kill(event):
            if isinstance(event, PassDone) and event.step == at:
                raise Killed

        folder = tmp_path / name
        loop = ol.Loop(compile=False, observers=[kill], folder=folder, save=1, w=weight)
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, steps=3, every=2):
                loop.print(chunk.step, chunk.steps.loss.tolist(), chunk.mean)
        return (folder / "log.txt").read_text()

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", at=3)
    assert play("killed") == expected


@pytest.mark.parametrize("first", ["train", "validate"])
def test_a_run_saved_at_the_begin_of_an_epochs_first_call_does_its_head_once(
    tmp_path, small_run, first
):
    def play(name, at=None):
        weight, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(3):
            weight.assign(weight * 0.5)
            loop.memory["heads"] = loop.memory.get("heads", 0) + 1
            if epoch.number == at:
                os.kill(os.getpid(), signal.SIGTERM)
            if first == "validate":
                epoch.validate(step, data)
            epoch.train(step, data).run()
        return loop.memory["heads"], loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    with pytest.raises(SystemExit):
        play("asked", at=2)
    assert play("asked") == expected


@pytest.mark.parametrize("asked", ["before validation", "after it"])
def test_a_run_that_was_about_to_stop_when_it_was_saved_stops(
    tmp_path, small_run, asked
):
    def play(name, at=None):
        _, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(5):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == 6:
                    loop.stop("enough")
            if loop.step == at and asked == "before validation":
                os.kill(os.getpid(), signal.SIGTERM)
            epoch.validate(step, data)
            if loop.step == at and asked == "after it":
                os.kill(os.getpid(), signal.SIGTERM)
        return loop.step, loop.epoch, loop.stopped, loop.history["val_loss"].tolist()

    expected = play("whole")
    assert expected[:3] == (6, 2, "enough")
    with pytest.raises(SystemExit):
        play("asked", at=6)
    assert play("asked") == expected


def test_passes_that_were_gone_through_side_by_side_are_not_missed(tmp_path):
    def play(name, at=None):
        weight = keras.Variable(1.0, name="weight")
        data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)
        told = []

        def step(x):
            weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
            return keras.ops.sum(weight.value)

        loop = ol.Loop(
            compile=False, observers=[], folder=tmp_path / name, save=None, w=weight
        )
        for epoch in loop.epochs(2):
            first = epoch.train(step, data, every=1, name="first")
            second = epoch.train(step, data, every=1, name="second")
            for one, _ in zip(first, second, strict=False):
                if one.batch == 2:
                    epoch.validate(step, data, name="within")
            if epoch.number == at:
                os.kill(os.getpid(), signal.SIGTERM)
            told.append(epoch.validate(step, data))
        return loop.step, told[-1], dict(loop.history.row(2))

    expected = play("whole")
    with pytest.raises(SystemExit):
        play("asked", at=1)
    with pytest.raises(SystemExit):
        play("asked", at=2)
    assert play("asked") == expected


def test_variables_are_found_where_a_step_is_no_longer_compiled(tmp_path):
    def play(at=None, **settings):
        keras.utils.set_random_seed(0)
        weight = keras.Variable(1.0, name="weight")
        seen = keras.Variable(0.0, trainable=False, name="seen")
        mean = keras.metrics.Mean(name="mean")
        data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

        def step(x):
            weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
            seen.assign_add(1.0)
            mean.update_state(x)
            return {"loss": keras.ops.sum(weight.value), "mean": mean}

        folder = tmp_path / "run"
        loop = ol.Loop(observers=[], folder=folder, save=None, w=weight, **settings)
        for epoch in loop.epochs(3):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return float(keras.ops.convert_to_numpy(seen)), loop.history["train_mean"]

    with pytest.raises(SystemExit):
        play(at=6)
    seen, means = play(compile=False, resume="inexact")
    assert seen == 12
    assert means.tolist() == [1.5, 1.5, 1.5]


def test_what_an_epochs_head_saves_is_not_saved_again_on_the_way_back(
    tmp_path, small_run
):
    def play(name, at=None):
        weight, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(3):
            loop.save("head")
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
            loop.load("head")
            weight.assign_add(1.0)
        return float(keras.ops.convert_to_numpy(weight))

    with pytest.raises(SystemExit):
        play("asked", at=6)
    assert play("asked") == play("whole") == 4.0


@pytest.mark.parametrize("asked_in", [[1], [3], [1, 3]])
def test_an_optimizer_is_saved_and_loaded_before_it_is_built_again(tmp_path, asked_in):
    def play(name, at=None):
        weight = keras.Variable(1.0, name="weight")
        optimizer = keras.optimizers.Adam(0.1)
        data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

        def step(x):
            with ol.GradientTape() as tape:
                loss = keras.ops.mean((weight - x) ** 2)
            optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
            return loss

        def look(x):
            return keras.ops.mean((weight - x) ** 2)

        folder = tmp_path / name
        loop = ol.Loop(
            observers=[], folder=folder, save=None, weight=weight, optimizer=optimizer
        )
        for epoch in loop.epochs(4):
            if epoch.number in (1, 2, 4):
                epoch.train(step, data).run()
            if epoch.number == at:
                os.kill(os.getpid(), signal.SIGTERM)
            epoch.validate(look, data)
            if epoch.number == 1:
                loop.save("first")
            if epoch.number == 3:
                loop.load("first")
        return loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    for epoch in asked_in:
        with pytest.raises(SystemExit):
            play("asked", at=epoch)
    assert play("asked") == expected


def test_an_epoch_that_forgot_a_pass_is_done_anew(tmp_path, small_run):
    def play(name, at=None):
        _, data, step, loop = small_run(tmp_path / name)

        def cell(at):
            for epoch in loop.epochs(3):
                epoch.train(step, data).run()
                loop.print(epoch.number)
                if epoch.number == at:
                    epoch.train(step, data, name="forgotten")

        if at is not None:
            with pytest.raises(LoopError, match="forgotten"):
                cell(at)
        cell(None)
        log = (tmp_path / name / "log.txt").read_text()
        return log, loop.epoch, loop.history.steps["train_loss"].tolist()

    assert play("mended", at=2) == play("whole")


def test_the_users_error_is_seen_where_their_memory_cannot_be_saved(
    tmp_path, small_run
):
    _, data, _, loop = small_run(tmp_path / "run")

    def step(x):
        raise ValueError("the user's own")

    with pytest.raises(ValueError, match="own") as caught:  # noqa: PT012
        for epoch in loop.epochs(2):
            loop.memory["rate"] = np.float32(0.1)
            epoch.train(step, data).run()
    assert any(
        "loop.memory['rate'] cannot be saved" in note for note in caught.value.__notes__
    )


@pytest.mark.parametrize("kills", [(2,), (3,), (4,), (5,), (6,), (3, 6)])
def test_arrays_that_were_logged_come_back(tmp_path, kills, monkeypatch):
    # They are none of the words of a checkpoint, which have a limit.
    monkeypatch.setattr(writing, "META_LIMIT", 16_000)
    picture = keras.ops.ones((100, 100))

    def play(name, kill=None):
        weight = keras.Variable(1.0, name="weight")
        data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

        def step(x):
            weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
            return {"loss": weight * 1, "picture": ol.last(picture * weight)}

        folder, seen = tmp_path / name, []
        loop = ol.Loop(observers=[], folder=folder, save=1, compile=False, w=weight)
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, every=3):
                seen.append((chunk.step, float(chunk.last.picture.sum())))
                if chunk.step == kill:
                    os.kill(os.getpid(), signal.SIGTERM)
            seen.append(epoch.validate(step, data).loss)
        return seen, loop.history["train_loss"].tolist()

    whole, losses = play("whole")
    for kill in kills:
        with contextlib.suppress(SystemExit):
            play("killed", kill)
    seen, again = play("killed")
    assert again == losses
    assert seen == whole[len(whole) - len(seen) :]


def two_phases(folder, at=None):
    """Trains, goes back to the best, and trains with an optimizer that is new then."""
    weight = keras.Variable(1.0, name="weight")
    warm, fine = keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.01)
    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

    def step_of(optimizer):
        def step(x):
            with ol.GradientTape() as tape:
                loss = keras.ops.sum((weight - x) ** 2)
            optimizer.apply([tape.gradient(loss, weight)], [weight])
            return loss

        return step

    loop = ol.Loop(
        folder=folder,
        observers=[],
        save=1,
        compile=False,
        weight=weight,
        warm=warm,
        fine=fine,
    )
    for epoch in loop.epochs(2):
        epoch.train(step_of(warm), data).run()
        if epoch.number == 1:
            loop.save("best")
    loop.load("best")
    for epoch in loop.epochs(4):
        for chunk in epoch.train(step_of(fine), data, every=1, name="fine"):
            if chunk.step == at:
                raise Killed
    return loop.history.steps["fine_loss"].tolist(), float(weight)


@pytest.mark.parametrize("at", [9, 11, 13])
def test_what_was_loaded_before_an_optimizer_was_built_is_loaded_on_the_way_back(
    tmp_path, at
):
    with pytest.raises(Killed):
        two_phases(tmp_path / "killed", at)
    assert two_phases(tmp_path / "killed") == two_phases(tmp_path / "whole")


def raises(x):
    raise ValueError("the user's own")


def fails(kind, loop, epoch, data):
    """Make a call that raises, and go on behind it."""
    with contextlib.suppress(ValueError, DataError):
        if kind == "validation":
            epoch.validate(raises, data)
        elif kind == "no batch":
            epoch.validate(raises, [], name="nothing")
        elif kind == "no data":
            epoch.train(raises, np.ones(3), name="nothing").run()
        elif kind == "first step":
            epoch.train(raises, data, name="bad").run()
        elif kind == "later step":
            first = iter([None])
            bad = lambda x: next(first, 1) or raises(x)  # noqa: E731
            epoch.train(lambda x: bad(x) or x[0], data, every=1, name="bad").run()


FAILURES = ["validation", "no batch", "no data", "first step", "later step"]


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("at", [2, 5, 7])
def test_after_a_failed_call_a_signal_leaves_and_the_epoch_is_done_anew(
    tmp_path, small_run, capsys, kind, at
):
    def play(name, at=None):
        _, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(2):
            fails(kind, loop, epoch, data)
            losses = []
            for chunk in epoch.train(step, data, every=1):
                losses.append(chunk.last.loss)
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return losses

    expected = play("whole")
    with pytest.raises(SystemExit):
        play("asked", at=at)
    assert "saving the run" not in capsys.readouterr().err
    assert play("asked") == expected


@pytest.mark.parametrize("kind", FAILURES)
def test_a_call_that_fails_in_the_body_of_a_pass_hinders_no_save(
    tmp_path, small_run, kind
):
    def play(name, seen, at=None):
        _, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, every=1):
                fails(kind, loop, epoch, data)
                seen.append(chunk.batch)
                if chunk.batch == at:
                    os.kill(os.getpid(), signal.SIGTERM)
            if at == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            epoch.validate(step, data)
        return loop.history.steps["train_loss"].tolist()

    whole, asked = [], []
    expected = play("whole", whole)
    for at in (2, 0):
        with pytest.raises(SystemExit):
            play("asked", asked, at=at)
    assert play("asked", asked) == expected
    assert asked == whole


def test_nothing_is_saved_on_the_way_back(tmp_path, small_run):
    def play(name, at=None, *, is_killed_on_the_way=False):
        _, data, step, loop = small_run(tmp_path / name)
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
        with contextlib.suppress(ValueError):
            loop.validate(raises, data)
        if is_killed_on_the_way:
            raise Killed
        for epoch in loop.epochs(4):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return loop.step, loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    with pytest.raises(SystemExit):
        play("killed", at=14)
    with pytest.raises(Killed):
        play("killed", is_killed_on_the_way=True)
    assert play("killed") == expected
