"""What lies in a run's folder is cut only by the run that it belongs to."""

import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.checkpoints import Store
from ownloop.errors import CheckpointError, FolderError

DATA = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)


def make(folder, **options):
    weight = keras.Variable(np.zeros(3, "float32"), name="weight")
    options = {"compile": False, "observers": (), "weight": weight} | options
    return ol.Loop(folder=folder, **options)


def sum_of(x):
    return {"loss": keras.ops.sum(x)}


def play(loop, epochs=2, at=None, data=DATA):
    """Train, print a line for each step, and press Ctrl-C at one of them."""
    weight = loop._run.objects["weight"]

    def step(x):
        weight.assign(weight + keras.ops.mean(x))
        return {"loss": keras.ops.sum(x)}

    for epoch in loop.epochs(epochs):
        for chunk in epoch.train(step, data, every=1):
            loop.print(f"step {chunk.step}")
            if chunk.step == at:
                signal.raise_signal(signal.SIGINT)


def leave(loop):
    """Let go of the folder, as the end of the process would."""
    loop._run.home._files.close()


def kept(folder):
    """Say how many values the history has, and what is in the log."""
    with closing(sqlite3.connect(folder / "history.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM steps").fetchone()
    return count, (folder / "log.txt").read_text().split("\n")[:-1]


def test_a_relative_folder_is_the_same_after_a_change_of_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    loop = make("run", save=2)
    with pytest.raises(KeyboardInterrupt):
        play(loop, at=5)
    os.chdir("other")
    play(loop)
    assert list(tmp_path.glob("other/*")) == []
    assert kept(tmp_path / "run") == (8, [f"step {n}" for n in range(1, 9)])


def test_a_folder_is_where_the_loop_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    loop = make("run")
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]
    os.chdir("other")
    play(loop)
    assert list(tmp_path.glob("other/*")) == []
    assert kept(tmp_path / "run")[0] == 8


def test_a_loop_that_refuses_other_runs_goes_on_with_its_own(tmp_path):
    loop = make(tmp_path / "run", resume=False)
    with pytest.raises(KeyboardInterrupt):
        play(loop, at=5)
    play(loop)
    assert loop.step == 8
    with pytest.raises(
        FolderError, match=r"has a run in it, at step-8.*, and `resume`"
    ):
        play(make(tmp_path / "run", resume=False))


@pytest.mark.parametrize("resume", [True, False, "inexact"])
def test_a_run_whose_checkpoints_are_gone_is_refused_and_stays(tmp_path, resume):
    loop = make(tmp_path / "run")
    play(loop)
    leave(loop)
    shutil.rmtree(tmp_path / "run/checkpoints")
    before = kept(tmp_path / "run")
    words = (
        r"run has no checkpoint, though step-4 was saved there.*Expected one.*"
        r"history and log would be lost\. Bring one back from a copy, or choose another"
    )
    for _ in range(2):
        with pytest.raises(FolderError, match=words):
            play(make(tmp_path / "run", resume=resume))
    assert kept(tmp_path / "run") == before
    assert before[0] == 8


def test_a_run_whose_only_save_was_the_last_thing_it_did_is_refused_so(tmp_path):
    loop = make(tmp_path / "run", save=None)
    play(loop, epochs=1)
    leave(loop)
    shutil.rmtree(tmp_path / "run/checkpoints")
    with pytest.raises(FolderError, match=r"though step-4 was saved there"):
        play(make(tmp_path / "run"))


def test_what_was_left_before_the_first_save_begins_anew_unless_it_was_refused(
    tmp_path,
):
    folder = tmp_path / "run"
    loop = make(folder, save=None)
    rounds = iter(loop.epochs(2))
    next(rounds).train(sum_of, DATA).run()
    loop.print("a line")
    rounds.close()  # A `break` is not saved.
    leave(loop)
    before = kept(folder)
    assert before == (4, ["a line"])
    words = r"has a run in it, which was left before its first save, and `resume` is"
    with pytest.raises(FolderError, match=words):
        play(make(folder, resume=False))
    assert kept(folder) == before
    play(make(folder))
    assert kept(folder) == (8, [f"step {n}" for n in range(1, 9)])


def test_a_folder_in_which_nothing_was_recorded_has_no_run_in_it(tmp_path):
    loop = make(tmp_path / "run")
    next(loop.epochs(2))
    leave(loop)
    play(make(tmp_path / "run", resume=False))
    assert kept(tmp_path / "run")[0] == 8


def test_a_loop_whose_folder_was_taken_over_writes_nothing(tmp_path):
    folder = tmp_path / "run"
    first = make(folder)
    rounds = iter(first.epochs(2))
    next(rounds).train(sum_of, DATA).run()
    first.print("the first")
    second = make(folder)
    play(second)
    before = kept(folder)
    words = r"run was taken over by another loop.*Expected one loop at a time\. Go on"
    with pytest.raises(FolderError, match=words):
        first.print("too late")
    with pytest.raises(FolderError, match=words):
        next(rounds)  # The epoch's end would be saved.
    assert kept(folder) == before
    play(second, epochs=3)
    assert kept(folder) == (12, [f"step {n}" for n in range(1, 13)])


@pytest.mark.parametrize("end", [GeneratorExit, KeyError])
def test_a_loop_whose_folder_was_taken_over_may_still_be_left(tmp_path, end):
    folder = tmp_path / "run"
    first = make(folder)
    rounds = iter(first.epochs(2))
    next(rounds).train(sum_of, DATA).run()
    second = make(folder)
    play(second)
    before = kept(folder)
    if end is GeneratorExit:
        rounds.close()
    else:
        with pytest.raises(KeyError) as raised:
            rounds.throw(KeyError("mine"))
        assert not hasattr(raised.value, "__notes__")
    assert kept(folder) == before


def test_what_another_loop_is_saving_is_waited_for_before_its_folder_is_taken_over(
    tmp_path, monkeypatch
):
    folder, may_go_on = tmp_path / "run", threading.Event()
    whole = Store.commit

    def wait(store, checkpoint):
        if checkpoint.step == 4:
            may_go_on.wait()
        return whole(store, checkpoint)

    monkeypatch.setattr(Store, "commit", wait)
    first = make(folder)
    rounds = iter(first.epochs(3))
    next(rounds).train(sum_of, DATA).run()
    next(rounds)  # The first epoch is being saved.
    threading.Timer(0.5, may_go_on.set).start()
    second = make(folder)
    begun = next(second.epochs(2))
    assert (second.step, begun.number) == (4, 2)
    rounds.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight": keras.Variable(np.zeros(4, "float32"))}, "1 variables differ"),
        ({"other": keras.Variable(0.0)}, "other was not there"),
    ],
)
def test_a_run_that_is_refused_keeps_what_came_after_its_last_save(
    tmp_path, options, words
):
    folder = tmp_path / "run"
    loop = make(folder)
    rounds = iter(loop.epochs(2))
    next(rounds).train(sum_of, DATA).run()
    next(rounds).train(sum_of, DATA).run()
    loop.print("after the save")
    rounds.close()  # A `break` is not saved.
    leave(loop)
    before = kept(folder)
    assert before == (8, ["after the save"])
    with pytest.raises(CheckpointError, match=rf"(?s){words}.*nothing changed"):
        play(make(folder, **options))
    assert kept(folder) == before


def test_a_run_whose_log_was_altered_leaves_the_loops_objects_alone(tmp_path):
    folder = tmp_path / "run"
    loop = make(folder)
    play(loop)
    leave(loop)
    (folder / "log.txt").write_text("altered\n" * 20)
    again = make(folder)
    with pytest.raises(FolderError, match="altered"):
        play(again)
    weight = keras.ops.convert_to_numpy(again._run.objects["weight"])
    assert weight.tolist() == [0.0, 0.0, 0.0]
    assert kept(folder)[1] == ["altered"] * 20


def open_files(folder):
    """Name the files under a folder that this process has open."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that listed them
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return sorted(Path(name).name for name in names if name.startswith(str(folder)))


def go_to_the_end(loop):
    play(loop)


def leave_by_break(loop):
    for epoch in loop.epochs(2):
        epoch.train(sum_of, DATA).run()
        break


def leave_by_ctrl_c(loop):
    with pytest.raises(KeyboardInterrupt):
        play(loop, at=5)


def validate_only(loop):
    loop.validate(sum_of, DATA)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux shows them")
@pytest.mark.parametrize(
    "use", [go_to_the_end, leave_by_break, leave_by_ctrl_c, validate_only]
)
def test_what_a_loop_holds_of_its_folder_goes_with_the_loop(tmp_path, use):
    loop = make(tmp_path / "run")
    use(loop)
    assert {"lock", "log.txt", "history.db"} <= set(open_files(tmp_path))
    history, names = loop.history, loop.history.names
    gc.disable()  # A search makes loops faster than Python looks for cycles.
    try:
        del loop
        if use is leave_by_ctrl_c:
            gc.collect()  # The loop knows its error, and the error the loop.
        assert open_files(tmp_path) == []
    finally:
        gc.enable()
    assert history.names == names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux shows them")
def test_a_loop_that_is_found_to_be_gone_while_it_saves_saves_and_lets_go(
    tmp_path, monkeypatch
):
    gone, commit = threading.Event(), Store.commit

    def commit_then(store, checkpoint):
        gone.wait(timeout=60)
        gc.collect()  # As Python may by itself, in this thread as well.
        return commit(store, checkpoint)

    monkeypatch.setattr(Store, "commit", commit_then)
    gc.disable()
    try:
        loop = make(folder := tmp_path / "run", save=3)
        loop.rounds = loop.epochs(2)
        next(loop.rounds).train(sum_of, DATA).run()
        del loop
        assert {"lock", "log.txt", "history.db"} <= set(open_files(tmp_path))
        gone.set()
        while threading.active_count() > 1:
            time.sleep(0.01)
    finally:
        gc.enable()
    assert open_files(tmp_path) == []
    assert os.listdir(folder / "checkpoints")
    with pytest.raises(KeyboardInterrupt):  # Nobody is left to save before it leaves.
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


GOING_ON = """
import sys
sys.path.insert(0, sys.argv[1])
from test_run_files import make, play

play(make(sys.argv[2]), epochs=3)
"""


def test_a_run_goes_on_in_another_process_when_its_loop_is_gone(tmp_path):
    play(make(whole := tmp_path / "whole"), epochs=4)
    loop = make(folder := tmp_path / "run")
    play(loop)
    del loop
    here = os.path.dirname(__file__)
    subprocess.run([sys.executable, "-c", GOING_ON, here, folder], check=True)
    loop = make(folder)
    play(loop, epochs=4)
    assert kept(folder) == kept(whole)
    assert loop._run.home._tracked.names.is_new_process  # who had named what is there


def test_epochs_that_are_held_hold_their_loop(tmp_path):
    rounds = make(tmp_path / "run").epochs(2)
    for epoch in rounds:
        gc.collect()
        epoch.train(sum_of, DATA).run()
    assert kept(tmp_path / "run")[0] == 8


# Other tests of this process may have imported JAX, which warns of every fork.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_that_forgets_a_loop_leaves_the_run_to_its_parent(tmp_path):
    loop = make(tmp_path / "run", save=1)
    rounds = iter(loop.epochs(2))
    next(rounds).train(sum_of, DATA).run()
    loop.print("before")
    if os.fork() == 0:
        del rounds, loop
        gc.collect()
        os._exit(0)
    assert os.wait()[1] == 0
    loop.print("after")
    next(rounds).train(sum_of, DATA).run()
    rounds.close()
    assert kept(tmp_path / "run") == (8, ["before", "after"])
