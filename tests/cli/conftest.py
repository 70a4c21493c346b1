"""Folders of runs, made by real runs in processes of their own, whose lock is free."""

import os
import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys

import keras
import numpy as np

import ownloop as ol

data = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)


def run(folder, look, **how):
    weight = keras.Variable(0.0, name="weight")
    loop = ol.Loop(compile=False, observers=[], folder=folder, weight=weight, **how)

    def train(x):
        weight.assign_add(keras.ops.mean(x))
        return {"loss": weight / 2}

    def val(x):
        return {"loss": weight + keras.ops.mean(x), "accuracy": keras.ops.mean(x) / 8}

    for epoch in loop.epochs(3):
        loop.print("Epoch", epoch.number)
        for chunk in epoch.train(train, data, every=1):
            look(chunk.step)
        epoch.validate(val, data)
"""

FINISH = """
run(sys.argv[1], lambda step: None, keep=2)
"""

DIE = """
def die(step):
    if step == 7:
        os._exit(9)


run(sys.argv[1], die, save=2)
"""

WAIT = """
def wait(step):
    if step == 6:
        print("waiting", flush=True)
        sys.stdin.readline()


run(sys.argv[1], wait, save=2)
"""

MEET_A_BAD_BATCH = """
data = ol.Batches(np.array([0, 1, 2, np.nan], "float32"), batch_size=1)
run(sys.argv[1], lambda step: None)
"""


def make(code, folder, expected):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + code, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    return folder


@pytest.fixture(scope="session")
def one_finished(tmp_path_factory):
    return make(FINISH, tmp_path_factory.mktemp("made") / "finished", 0)


@pytest.fixture(scope="session")
def one_killed(tmp_path_factory):
    return make(DIE, tmp_path_factory.mktemp("made") / "killed", 9)


@pytest.fixture(scope="session")
def one_spoilt(tmp_path_factory):
    return make(MEET_A_BAD_BATCH, tmp_path_factory.mktemp("made") / "spoilt", 1)


@pytest.fixture
def spoilt(one_spoilt, tmp_path):
    """Return the folder of a run that has ended with a bad step, its fourth."""
    return shutil.copytree(one_spoilt, tmp_path / "runs" / "spoilt")


@pytest.fixture
def finished(one_finished, tmp_path):
    """Return the folder of a run of three epochs, of four steps each."""
    return shutil.copytree(one_finished, tmp_path / "runs" / "finished")


@pytest.fixture
def killed(one_killed, tmp_path):
    """Return the folder of a run that was killed in step 7, in the second epoch."""
    return shutil.copytree(one_killed, tmp_path / "runs" / "killed")


@pytest.fixture
def running(tmp_path):
    """Return the folder of a run that waits in step 6, and its process."""
    folder = tmp_path / "runs" / "running"
    folder.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT + WAIT, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = iter(process.stdout.readline, "")
    assert "waiting\n" in lines
    yield folder, process
    process.kill()
    process.communicate()


@pytest.fixture
def content():
    """Return what reads all files of a folder, but SQLite's index of a log."""

    def read(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith("-shm")
        }

    return read


@pytest.fixture(autouse=True)
def environment_as_before():
    """Take back what a command sets for its own process, such as the backend."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
