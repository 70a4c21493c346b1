"""A notebook: cells that are run again, Ctrl-C between them, one process for all.

A cell is code that is executed in the one namespace of the notebook. What a user of a
notebook does is run a cell that was interrupted once more; what must come out is the
run that nobody has interrupted.
"""

import shutil
import signal
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.history.database import read_database

SETUP = """
keras.utils.set_random_seed(0)
weight = keras.Variable(np.zeros(3, "float32"), name="weight")
optimizer = keras.optimizers.Adam(0.1)
optimizer.build([weight])
data = ol.Batches(rows, batch_size=4, shuffle=True, seed=1)

def step(x):
    with ol.GradientTape() as tape:
        loss = keras.ops.mean((weight - x) ** 2)
    optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
    return {"loss": loss}
"""

LOOP = """
loop = ol.Loop(
    weight=weight, optimizer=optimizer, folder=folder, compile=False, observers=[]
)
"""

TRAIN = """
for epoch in loop.epochs(4):
    for chunk in epoch.train(step, data, every=2):
        loop.print(chunk.step, chunk.last.loss)
        if chunk.step == interrupted_at:
            signal.raise_signal(signal.SIGINT)
"""


class Notebook:
    """One process and its namespace, in which cells are run."""

    def __init__(self, folder):
        rows = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
        self.names = {"keras": keras, "np": np, "ol": ol, "signal": signal}
        self.names |= {"rows": rows, "folder": folder, "interrupted_at": None}

    def run(self, *cells):
        for cell in cells:
            exec(compile(cell, "<cell>", "exec"), self.names)

    def interrupt(self, step, cell=TRAIN):
        """Runs a cell that trains, and presses Ctrl-C after some step."""
        self.names["interrupted_at"] = step
        with pytest.raises(KeyboardInterrupt):
            self.run(cell)
        self.names["interrupted_at"] = None

    def end(self):
        """Returns what two equal runs have in common."""
        loop, folder = self.names["loop"], self.names["folder"]
        parts = (self.names["weight"], *self.names["optimizer"].variables)
        return (
            [np.array(keras.ops.convert_to_numpy(v.value)).tolist() for v in parts],
            loop.history.steps["train_loss"].tolist(),
            loop.history.to_dict(),
            None if folder is None else (folder / "log.txt").read_text(),
            (loop.step, loop.epoch, loop.stopped),
        )


@pytest.fixture
def whole(tmp_path):
    notebook = Notebook(tmp_path / "whole")
    notebook.run(SETUP, LOOP, TRAIN)
    return notebook.end()


# In the first chunk, in the middle of an epoch, after an epoch's last chunk.
@pytest.mark.parametrize("step", [2, 9, 15])
def test_the_cell_that_was_interrupted_is_run_again_and_goes_on(tmp_path, whole, step):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    notebook.interrupt(step)
    # The loop can be looked at.
    assert 0 < notebook.names["loop"].step <= step + 2
    notebook.run(TRAIN)
    assert notebook.end() == whole


@pytest.mark.parametrize("step", [2, 9, 15])
def test_the_loops_cell_is_run_again_and_takes_over_the_folder(tmp_path, whole, step):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    notebook.interrupt(step)
    notebook.run(LOOP, TRAIN)
    assert notebook.end() == whole


def test_all_cells_are_run_again(tmp_path, whole):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    for step in (4, 9, 10, 17):
        notebook.interrupt(step)
        notebook.run(SETUP, LOOP)
    notebook.run(TRAIN)
    assert notebook.end() == whole


def test_a_loop_without_a_folder_stays_usable(tmp_path):
    notebook = Notebook(None)
    notebook.run(SETUP, LOOP)
    notebook.interrupt(9)
    loop = notebook.names["loop"]
    assert loop.step == 9
    assert len(loop.history.steps["train_loss"]) == 9
    notebook.run(TRAIN)
    assert loop.epoch == 4


SINGLE = """
for epoch in loop.epochs(3):
    for i in range(4):
        result = epoch.step(step, rows[4 * i : 4 * i + 4])
        loop.print(loop.step, result.loss)
        if loop.step == interrupted_at:
            signal.raise_signal(signal.SIGINT)
"""

TWICE = TRAIN + "            signal.raise_signal(signal.SIGINT)\n"


def test_single_steps_go_on_as_well(tmp_path):
    ends = []
    for name, step in (("whole", None), ("run", 6)):
        notebook = Notebook(tmp_path / name)
        notebook.run(SETUP, LOOP)
        if step is not None:
            notebook.interrupt(step, SINGLE)
        notebook.run(SINGLE)
        ends.append(notebook.end())
    assert ends[0] == ends[1]


def test_ctrl_c_pressed_twice_is_no_break(tmp_path, whole):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    notebook.interrupt(9, TWICE)
    notebook.run(TRAIN)
    assert notebook.end() == whole


def test_ctrl_c_before_a_break_is_not_forgotten(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    cell = TRAIN + "            break\n    if epoch.number == 2: break\n"
    notebook.names["interrupted_at"] = 9

    def run_and_wait():
        notebook.run(cell)
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        run_and_wait()


LEFT = TRAIN + "    if epoch.number == 2: break\n"


def ends_after_a_break(folder, step=None, between=lambda: None):
    """Leaves one cell in epoch 2, presses Ctrl-C in the next, and runs that again."""
    notebook = Notebook(folder)
    notebook.run(SETUP, LOOP, LEFT, "weight.assign(weight * 0.5)")
    if step is not None:
        notebook.interrupt(step, SINGLE)
        between()
    notebook.run(SINGLE)
    return notebook


def test_a_cell_after_a_break_goes_on_from_its_begin(tmp_path):
    whole = ends_after_a_break(tmp_path / "whole")
    assert whole.names["loop"].step == 14
    assert ends_after_a_break(tmp_path / "run", 12).end() == whole.end()


def test_a_cell_goes_on_with_an_earlier_round_where_no_other_is_saved(tmp_path):
    def forget_its_begin():
        shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-10")

    notebook = ends_after_a_break(tmp_path / "run", 12, forget_its_begin)
    _, losses, rows, log, counts = notebook.end()
    assert counts == (13, 3, None)
    assert len(losses) == 13
    assert len(rows["epoch"]) == 3
    assert [line.split()[0] for line in log.splitlines()] == [
        *("2", "4", "5"),
        *(str(step) for step in range(6, 14)),
    ]


def test_a_cell_goes_on_from_memory_where_nothing_is_saved(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP, "loop.print('first line')")
    notebook.interrupt(2, SINGLE)
    loop = notebook.names["loop"]
    assert loop.step == 2
    notebook.run(SINGLE)
    assert loop.step == 14
    stored = read_database(tmp_path / "run" / "history.db")
    assert stored.to_dict() == loop.history.to_dict()
    assert (
        stored.steps["train_loss"].tolist() == loop.history.steps["train_loss"].tolist()
    )
    log = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert log[0] == "first line"
    assert [line.split()[0] for line in log[1:]] == [str(i) for i in range(1, 15)]
    # Another process continues what this one has.
    again = Notebook(tmp_path / "run")
    again.run(SETUP, LOOP, SINGLE)
    assert again.end() == notebook.end()


HEAD = """
for epoch in loop.epochs(4):
    weight.assign(weight * 0.5)
    if epoch.number == failing_in:
        raise KeyError("mine")
    epoch.train(step, data).run()
"""


@pytest.mark.parametrize("failing_in", [1, 3])
def test_a_cell_that_failed_at_an_epochs_head_goes_on_from_memory(tmp_path, failing_in):
    def play(name):
        notebook = Notebook(name and tmp_path / name)
        notebook.names["failing_in"] = failing_in
        with pytest.raises(KeyError):
            notebook.run(SETUP, LOOP, HEAD)
        notebook.names["failing_in"] = None
        notebook.run(HEAD)
        weight = keras.ops.convert_to_numpy(notebook.names["weight"].value)
        loop = notebook.names["loop"]
        return weight.tolist(), loop.epoch, loop.history.to_dict()

    whole = play(None)
    assert whole[1] == 4
    assert play("run") == whole
