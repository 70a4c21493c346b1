"""What lies in a run's folder is cut only by the run that it belongs to."""

import os
import shutil
import signal
import sqlite3
import threading
from contextlib import closing

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
    rounds = loop.epochs(2)
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
    rounds = first.epochs(2)
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
    rounds = first.epochs(2)
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
    rounds = first.epochs(3)
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
    rounds = loop.epochs(2)
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
