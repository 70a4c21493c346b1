"""What lies in a run's folder is cut only by the run that it belongs to."""

import os
import signal
import sqlite3
from contextlib import closing

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import FolderError

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
