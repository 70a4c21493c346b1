"""Streams that draw random numbers: read again, they give the same batches."""

import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import FolderError
from ownloop.events import Notice
from ownloop.resume import randomness
from random_streams import (
    IN_TURN,
    NOT_ON_TENSORFLOW,
    STREAMS,
    Sized,
    Turning,
    loader,
    torch,
    torch_data,
    with_generator,
)

pytestmark = NOT_ON_TENSORFLOW


def play(folder, make, at=None, *, steps=None, looks=None, seed=0, save=1, **settings):
    """Train three epochs over a stream; give what came, and the last random numbers."""
    keras.utils.set_random_seed(seed)
    torch.manual_seed(seed)
    weight, data = keras.Variable(1.0, name="weight"), make()

    def step(x):
        weight.assign(0.9 * weight + keras.ops.mean(x))
        return {"x": keras.ops.sum(x)}

    loop = ol.Loop(
        compile=False, observers=[], folder=folder, save=save, w=weight, **settings
    )
    for epoch in loop.epochs(3):
        for chunk in epoch.train(step, data, every=1, steps=steps):
            if chunk.step == at:
                raise Killed
            if looks is not None:
                looks(epoch, step)
    came = np.asarray(loop.history.steps["train_x"]).tolist()
    return came, random.random(), np.random.uniform(), torch.rand(1).item()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what gives a run that nobody killed, trained when first asked for."""

    @functools.cache
    def train(stream, steps):
        folder = tmp_path_factory.mktemp("whole")
        return play(folder, STREAMS[stream], steps=steps)

    return train


def kill(folder, make, at, **options):
    """Kill a run, and wait until the thread that reads ahead for it is at rest."""
    with pytest.raises(Killed):
        play(folder, make, at, **options)
    before = {}
    while randomness.drawn(before, now := randomness.read()):
        before = now
        time.sleep(0.02)


@pytest.mark.in_turn(of=("jax", "torch"), most=4)
@pytest.mark.parametrize(
    ("steps", "at"), [(None, 2), (None, 11), (None, 21), (6, 11), (6, 17)]
)
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_goes_on_the_same_wherever_it_was_killed(
    tmp_path, whole, stream, at, steps
):
    kill(tmp_path, STREAMS[stream], at, steps=steps)
    assert play(tmp_path, STREAMS[stream], steps=steps) == whole(stream, steps)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="others warn where a process is forked"
)
def test_workers_of_a_loader_draw_the_same(tmp_path):
    def make():
        return loader(num_workers=2, noise=True)

    kill(tmp_path / "killed", make, 14)
    assert play(tmp_path / "killed", make) == play(tmp_path / "whole", make)


WORKERS = """
import time, keras, torch, ownloop as ol

class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, i):
        time.sleep(0.05)
        return torch.tensor([float(i)])

def step(x):
    return {"x": keras.ops.sum(x)}

data = torch.utils.data.DataLoader(Slow(), batch_size=2, num_workers=1)
loop = ol.Loop(folder="run", compile=False, observers=[])
for epoch in loop.epochs(1):
    for chunk in epoch.train(step, data, every=1):
        if chunk.step == 3:
            print("reading", flush=True)
"""


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="others warn where a process is forked"
)
def test_ctrl_c_that_a_loaders_workers_hear_too_is_no_error(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", WORKERS],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout.readline() == "reading\n"
    os.killpg(run.pid, signal.SIGINT)  # As a terminal does.
    _, said = run.communicate(timeout=120)
    assert run.returncode == -signal.SIGINT, said
    assert said.rstrip().endswith("KeyboardInterrupt"), said
    (saved,) = (tmp_path / "run/checkpoints").glob("step-*")
    assert int(saved.name.removeprefix("step-")) >= 3


@IN_TURN
@pytest.mark.parametrize("at", [4, 13])
@pytest.mark.parametrize("stream", ["loader", "by python", "by numpy"])
def test_what_bodies_draw_in_between_is_not_drawn_again(tmp_path, stream, at):
    make = STREAMS[stream]

    def look(epoch, step):
        random.random(), np.random.uniform(), torch.rand(1)
        epoch.validate(step, loader())

    kill(tmp_path / "killed", make, at, looks=look)
    killed = play(tmp_path / "killed", make, looks=look)
    assert killed == play(tmp_path / "whole", make, looks=look)


def test_where_bodies_draw_what_its_batches_draw_it_is_said(tmp_path):
    def look(epoch, step):
        np.random.uniform()

    make = STREAMS["loader with noise"]
    kill(tmp_path, make, 14, looks=look)
    words = r"read again.*; it draws from .*numpy.*, and perhaps the script does so"
    with pytest.raises(FolderError, match=words):
        play(tmp_path, make, looks=look)


class ByChance(Sized):
    """Batches in an order that nothing decides."""

    def __init__(self):
        super().__init__(np.random.default_rng().random(10).argsort)


@pytest.mark.parametrize("steps", [None, 6])
def test_a_stream_that_comes_otherwise_is_refused(tmp_path, steps):
    kill(tmp_path, ByChance, 15, steps=steps)
    match = (
        r"cannot be continued exactly: pass 'train': its data, of type ByChance, gave "
        r"other batches when the first \d were read again, to go on behind them "
        r"\(a stream.*a seed.*'inexact'"
    )
    for _ in range(2):  # A run that was refused stays as it is.
        with pytest.raises(FolderError, match=match):
            play(tmp_path, ByChance, steps=steps)
    came, *_ = play(tmp_path, ByChance, steps=steps, resume="inexact")
    assert len(came) == 3 * (steps or 10)


@pytest.mark.parametrize("at", [3, 14, 21])
def test_loaders_made_anew_for_each_epoch_begin_anew_in_another_process(tmp_path, at):
    def play(folder, at=None):
        loop = ol.Loop(compile=False, observers=[], folder=folder, save=1)
        for epoch in loop.epochs(3):
            data = with_generator()
            for chunk in epoch.train(lambda x: {"x": x[0, 0]}, data, every=1):
                if chunk.step == at:
                    raise Killed
        return np.asarray(loop.history.steps["train_x"]).tolist()

    with pytest.raises(Killed):
        play(tmp_path / "killed", at)
    assert play(tmp_path / "killed") == play(tmp_path / "whole")


def test_a_loop_that_is_entered_again_goes_on_with_any_stream_and_says_so(tmp_path):
    """As in a notebook, where a cell was interrupted and is run once more."""
    said, data = [], Turning()
    loop = ol.Loop(compile=False, observers=[said.append], folder=tmp_path, save=1)

    def cell(at=None):
        for epoch in loop.epochs(2):
            for chunk in epoch.train(lambda x: {"x": x[0, 0]}, data, every=1):
                if chunk.step == at:
                    signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cell(13)
    cell()
    assert loop.step == 20
    texts = [event.text for event in said if isinstance(event, Notice)]
    (told,) = [text for text in texts if "continuing inexactly" in text]
    assert "of type Turning, gave other batches when the first 3 were read" in told


def test_an_unseeded_stream_is_read_from_the_generator_that_the_run_had(tmp_path):
    kill(tmp_path / "killed", loader, 14)
    killed = play(tmp_path / "killed", loader, seed=99)
    assert killed == play(tmp_path / "whole", loader)


def test_a_run_of_no_folder_keeps_no_marks():
    data = [np.ones((2, 1), "float32")] * 4
    loop, marks = ol.Loop(compile=False, observers=[]), []
    for epoch in loop.epochs(1):
        for _ in (one := epoch.train(lambda x: {"x": x[0, 0]}, data, every=1)):
            marks.append(one._feed.bookmark(1))
    assert marks == [None] * 4


@pytest.mark.parametrize("stream", ["loader", "loader with a generator"])
def test_what_is_read_ahead_of_a_save_is_drawn_again(tmp_path, stream):
    def slow(epoch, step):
        time.sleep(0.01)  # The reader comes to the end long before.

    make = STREAMS[stream]
    kill(tmp_path / "killed", make, 18, looks=slow, save=3)
    killed = play(tmp_path / "killed", make, looks=slow, save=3)
    assert killed == play(tmp_path / "whole", make, looks=slow, save=3)


class Held:
    """Batches of which the sixth is read while the script draws, if it does."""

    def __init__(self):
        self.has_drawn = threading.Event()

    def __iter__(self):
        for i in range(10):
            if i == 5:
                self.has_drawn.wait(0.2)
            yield np.full(1, i, "float32")


@pytest.mark.parametrize("at", range(4, 9))
def test_what_the_script_draws_meanwhile_is_not_drawn_again(tmp_path, at):
    def play(name, at=None):
        loop = ol.Loop(folder=tmp_path / name, save=1, compile=False, observers=[])
        data = Held()
        for epoch in loop.epochs(1):
            for chunk in epoch.train(lambda x: {"x": x[0]}, data, every=1):
                if chunk.step % 4 == 0:
                    loop.memory.setdefault("drawn", []).append(np.random.uniform())
                    data.has_drawn.set()
                if chunk.step == at:
                    raise Killed
        return loop.memory["drawn"], np.random.uniform()

    np.random.seed(1)
    expected = play("whole")
    np.random.seed(1)
    with pytest.raises(Killed):
        play("killed", at)
    np.random.seed(2)
    assert play("killed") == expected


class Slow:
    """Batches that take some time each; knows how many it has begun to give."""

    def __init__(self):
        self.given = 0

    def __iter__(self):
        for i in range(30):
            self.given += 1
            time.sleep(0.01)
            yield np.full((4, 8), i, "float32")


@pytest.mark.parametrize("at", [None, 5])
def test_what_dropout_draws_is_not_taken_for_the_streams(tmp_path, at):
    """On PyTorch it draws from the generator of the process where it has no seed."""
    layer = keras.layers.Dropout(0.5)

    def step(x):
        time.sleep(0.02)  # The next batch is read meanwhile.
        y = layer(x, training=True)
        time.sleep(0.02)
        return keras.ops.mean(y)

    def play(at):
        loop = ol.Loop(folder=tmp_path, save=1, compile=False, observers=[], d=layer)
        data, leads, drawn = Slow(), [], []
        for epoch in loop.epochs(1):
            for chunk in (one := epoch.train(step, data, every=1)):
                if chunk.step == at:
                    raise Killed
                leads.append(data.given - chunk.step)
                drawn.append(one._feed.bookmark(len(leads)).generators)
        return leads, drawn

    if at is not None:
        with pytest.raises(Killed):
            play(at)
    leads, drawn = play(None)
    assert drawn == [{}] * (30 if at is None else 26)
    assert max(leads[len(leads) // 2 : -3]) >= 1  # It is still read ahead.


class Hidden(torch_data.Dataset):
    """Rows with noise from a generator of their own, which nobody knows."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.tensor([i + self.rng.uniform()]).float()


def test_a_state_that_nobody_knows_is_refused_between_epochs_too(tmp_path):
    def make():
        return torch_data.DataLoader(Hidden(), batch_size=2, shuffle=True)

    kill(tmp_path, make, 12, save=None)
    with pytest.raises(FolderError, match=r"give other batches each time, from equal"):
        play(tmp_path, make, save=None)


@pytest.mark.parametrize("steps", [None, 20])
def test_what_was_used_is_forgotten_also_where_nothing_is_saved(tmp_path, steps):
    """Each batch that draws leaves states of generators, of kilobytes each."""

    def step(x):
        return {"x": keras.ops.sum(x)}

    def lengths():
        return [
            max(len(m._noted), len(m._moved), len(m._unsure))
            for m in loop._run.data.streams._marks
        ]

    data, val, seen = loader(noise=True, batch_size=1), loader(noise=True), []
    loop = ol.Loop(compile=False, observers=[], folder=tmp_path, save=None)
    for epoch in loop.epochs(2):
        for _ in epoch.train(step, data, every=1, steps=steps):
            seen += lengths()
        epoch.validate(step, val)
        seen += lengths()
    assert len(seen) > 40
    assert max(seen) <= 3
