"""A run listens to signals while it can be saved, and says what comes of them."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import LoopError
from ownloop.events import ChunkDone, EpochDone, Failed, Notice


def forgets_a_pass(loop, epoch, step, data):
    epoch.train(step, data, name="forgotten")


def keeps_what_no_file_takes(loop, epoch, step, data):
    loop.memory["rate"] = np.float32(0.1)


def keeps_it_and_stops(loop, epoch, step, data):
    loop.memory["rate"] = np.float32(0.1)
    loop.stop()


@pytest.mark.parametrize(
    "end", [forgets_a_pass, keeps_what_no_file_takes, keeps_it_and_stops]
)
def test_an_error_at_an_epochs_end_lets_go_of_the_signals(tmp_path, small_run, end):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    _, data, step, loop = small_run(tmp_path / "run")
    with pytest.raises(LoopError):  # noqa: PT012 - it is raised by the for-loop
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
            end(loop, epoch, step, data)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_observers_error_lets_go_of_the_signals_when_a_loop_is_left(
    tmp_path, small_run
):
    def refuse(event):
        if isinstance(event, EpochDone):
            raise ValueError("the observer's own")

    before = signal.getsignal(signal.SIGINT)
    _, data, step, _ = small_run(tmp_path / "other")
    loop = ol.Loop(compile=False, observers=[refuse], folder=tmp_path / "run")
    with pytest.raises(ValueError, match="own"):  # noqa: PT012
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("kind", ["one pass", "within a pass", "zip", "single steps"])
def test_it_is_said_whether_a_run_is_saved_before_it_is_left(
    tmp_path, small_run, capsys, kind
):
    _, data, step, loop = small_run(tmp_path / "run")

    def ask(at):
        if at == 2:
            signal.raise_signal(signal.SIGTERM)

    def play():
        for epoch in loop.epochs(1):
            if kind == "single steps":
                for at in range(4):
                    epoch.step(step, np.ones(1, "float32"))
                    ask(at)
                continue
            train = epoch.train(step, data, every=1)
            if kind == "zip":
                other = epoch.train(step, data, every=1, name="other")
                train = (chunk for chunk, _ in zip(train, other, strict=True))
            for chunk in train:
                if kind == "within a pass" and chunk.batch == 2:
                    once = [np.ones(1, "float32")]
                    epoch.validate(lambda x: ask(2) or step(x), once)
                elif kind != "within a pass":
                    ask(chunk.batch)

    with pytest.raises(SystemExit):
        play()
    says_so = "saving the run" in capsys.readouterr().err
    assert says_so == (kind in ("one pass", "within a pass"))
    assert says_so == any((tmp_path / "run" / "checkpoints").glob("step-*"))


@pytest.mark.parametrize(("at", "name"), [(2, "step-2"), (4, "step-4"), (None, None)])
def test_who_has_asked_is_told_what_was_saved_and_how_to_go_on(
    tmp_path, small_run, at, name
):
    _, data, step, loop = small_run(tmp_path / "run")
    notices = []
    loop._run.observers.append(notices.append)

    def play():
        for epoch in loop.epochs(1):
            for _ in range(4 if at is None else 0):
                epoch.step(step, np.ones(1, "float32"))
                signal.raise_signal(signal.SIGTERM)
            for chunk in epoch.train(step, data, every=1):
                if chunk.batch == at:
                    signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit):
        play()
    said = [e.text for e in notices if isinstance(e, Notice)]
    words = f"the run in {tmp_path / 'run'} is saved as {name}: run again, the script"
    assert said == ([] if name is None else [f"{words} goes on from there"])


# JAX warns of every fork; the child here only waits for its end.
@pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_forked_child_obeys_the_first_signal(tmp_path, small_run, number):
    _, data, step, loop = small_run(tmp_path / "run")
    for epoch in loop.epochs(2):
        epoch.train(step, data).run()
        if epoch.number == 2:
            continue
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(tell, b"1")
                time.sleep(60)
            except KeyboardInterrupt:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.read(ready, 1) == b"1"
        began = time.monotonic()
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
        assert time.monotonic() - began < 30
        assert status == (0 if number == signal.SIGINT else signal.SIGTERM)
        # The parent still listens.
        assert signal.getsignal(number) not in (
            signal.SIG_DFL,
            signal.default_int_handler,
        )
    assert loop.step == 8


class Nobody:
    """Stands for a pipe whose reader is gone, as `tee` is after a Ctrl-C."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self):
        pass


def test_a_signal_is_heard_also_where_nobody_reads_what_is_said(
    tmp_path, small_run, monkeypatch
):
    _, data, step, loop = small_run(tmp_path)
    monkeypatch.setattr("sys.stderr", Nobody())
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for epoch in loop.epochs(1):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == 2:
                    signal.raise_signal(signal.SIGINT)
    assert loop.step == 2
    assert list((tmp_path / "checkpoints").glob("step-2*"))


def test_an_observer_that_fails_at_a_look_leaves_the_epoch_to_be_entered_again(
    tmp_path, small_run
):
    def watch(event):
        if isinstance(event, ChunkDone) and event.step == 2 and not failed:
            failed.append(event)
            raise ConnectionError("the observer's own")

    failed, numbers = [], []
    _, data, step, _ = small_run(tmp_path / "other")
    loop = ol.Loop(compile=False, observers=[watch], folder=tmp_path / "run")
    with pytest.raises(ConnectionError, match="own"):  # noqa: PT012
        for epoch in loop.epochs(2):
            epoch.train(step, data, every=2).run()
    for epoch in loop.epochs(2):
        numbers.append(epoch.number)
        epoch.train(step, data, every=2).run()
    assert numbers == [1, 2]


def test_an_observer_that_fails_too_does_not_hide_the_error(tmp_path, small_run):
    def watch(event):
        if isinstance(event, Failed):
            raise ConnectionError("the observer's own")

    def fail(x):
        raise ValueError("the step's own")

    _, data, step, _ = small_run(tmp_path / "other")
    loop = ol.Loop(compile=False, observers=[watch], folder=tmp_path / "run")
    with pytest.raises(ValueError, match="the step's own") as raised:  # noqa: PT012
        for epoch in loop.epochs(1):
            epoch.train(step, data, name="first").run()
            epoch.train(fail, data).run()
    assert any("An observer failed" in note for note in raised.value.__notes__)
    assert list((tmp_path / "run/checkpoints").glob("step-4*"))


def test_a_signal_is_obeyed_in_a_pass_that_was_made_after_one_not_begun(
    tmp_path, small_run, capsys
):
    _, data, step, loop = small_run(tmp_path / "run")
    with pytest.raises(SystemExit):  # noqa: PT012
        for epoch in loop.epochs(1):
            later = epoch.train(step, data, name="later")
            for chunk in epoch.train(step, data, every=1):
                if chunk.batch == 2:
                    signal.raise_signal(signal.SIGTERM)
            later.run()
    assert loop.step == 2
    assert "the run cannot be saved" in capsys.readouterr().err


def test_a_signal_that_an_error_has_overtaken_is_sent_again(tmp_path, small_run):
    def step(x):
        signal.raise_signal(signal.SIGINT)
        raise ValueError("the step's own")

    before = signal.getsignal(signal.SIGINT)
    _, data, _, loop = small_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it comes in a moment
        with contextlib.suppress(ValueError):
            for epoch in loop.epochs(1):
                epoch.train(step, data).run()
        time.sleep(10)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_signal_waits_until_a_step_is_counted(tmp_path, small_run):
    _, data, step, loop = small_run(tmp_path / "run")

    def ask(record):
        if not asked and loop.step == 2:
            asked.append(record)
            for _ in range(2):
                signal.raise_signal(signal.SIGTERM)

    asked = []
    for epoch in loop.epochs(1):
        train = epoch.train(step, data, every=1)
        loop._run.history.follow(ask)  # Told in the midst of the count.
        with pytest.raises(SystemExit):
            train.run()
        break
    assert asked
    assert loop.history.steps["train_loss"].size == loop.step == train.batch == 3
