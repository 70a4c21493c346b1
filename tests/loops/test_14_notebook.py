"""A notebook: cells that are run again, Ctrl-C between them, one process for all.

A cell is code that is executed in the one namespace of the notebook. What a user of a
notebook does is run a cell that was interrupted once more; what must come out is the
run that nobody has interrupted.
"""

import re
import shutil
import signal
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import LoopError
from ownloop.events import Notice
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


CHANGES = [
    "optimizer.learning_rate = 0.01",
    "weight.assign(weight * 0.5)",
    "loop.memory['phase'] = 2",
    "loop.save('before')",
]
TELL = (
    "told = float(optimizer.learning_rate), dict(loop.memory), loop._run.saved.keys()"
)


# In the middle of an epoch, and after an epoch's last chunk.
@pytest.mark.in_turn(of=("jax",), most=3)
@pytest.mark.parametrize("step", [9, 15])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_after_ctrl_c_stays_changed(tmp_path, change, step):
    in_the_loop = TRAIN + f"        if chunk.step == {step}: {change}\n"
    expected = Notebook(tmp_path / "whole")
    expected.run(SETUP, LOOP, in_the_loop, TELL)
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    notebook.interrupt(step)
    notebook.run(change)
    # It is not lost either where the run is left once more before it was saved.
    with pytest.raises(LoopError, match="every"):
        notebook.run(REFUSED)
    notebook.interrupt(17)
    notebook.run(TRAIN, TELL)
    assert notebook.end() == expected.end()
    assert notebook.names["told"] == expected.names["told"]
    # It is part of what is saved from then on.
    again = Notebook(tmp_path / "run")
    again.run(SETUP, LOOP, TRAIN, TELL)
    assert again.end() == expected.end()
    assert again.names["told"] == expected.names["told"]


REFUSED = "for epoch in loop.epochs(4): epoch.train(step, data, every=-1)"


def test_what_is_changed_between_two_loops_stays_changed(tmp_path):
    ends = []
    for name in ("whole", "run"):
        notebook = Notebook(tmp_path / name)
        notebook.run(SETUP, LOOP, TRAIN.replace("4", "2"), *CHANGES)
        if name == "run":
            with pytest.raises(LoopError, match="every"):
                notebook.run(REFUSED)
        notebook.run(TRAIN, TELL)
        ends.append((notebook.end(), notebook.names["told"]))
    assert ends[0] == ends[1]


def test_it_is_said_what_is_taken_as_it_was_changed(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP, "said = []; loop._run.observers.append(said.append)")
    notebook.interrupt(9)
    notebook.run(CHANGES[0], CHANGES[2], TRAIN)
    texts = [e.text for e in notebook.names["said"] if isinstance(e, Notice)]
    (text,) = [text for text in texts if "changed since" in text]
    assert re.search(
        r"as now: adam(_\d+)?/learning_rate, loop\.memory\['phase'\]$", text
    )


def test_what_a_script_changes_on_its_way_back_is_no_change(tmp_path):
    ends = []
    for name in ("whole", "run"):
        notebook = Notebook(tmp_path / name)
        two_loops = (TRAIN.replace("4", "2"), *CHANGES)
        notebook.run(SETUP, LOOP, *two_loops)
        if name == "run":
            notebook.interrupt(14)
            # The kernel is started again, and each cell run once more.
            again = Notebook(tmp_path / name)
            again.run(SETUP, LOOP, *two_loops)
            with pytest.raises(LoopError, match="every"):
                again.run(REFUSED)
            notebook = again
        notebook.run(TRAIN, TELL)
        ends.append((notebook.end(), notebook.names["told"]))
    assert ends[0] == ends[1]


LOOKED = """
for epoch in loop.epochs(4):
    try:
        for chunk in epoch.train(step, data, every=2):
            if chunk.step == 7:
                signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        epoch.validate(lambda x: {"loss": keras.ops.mean((weight - x) ** 2)}, data)
        break
"""


def test_a_loop_that_was_left_by_break_after_ctrl_c_goes_on_from_memory(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP, LOOKED, CHANGES[0], "loop.memory['phase'] = 2")
    loop, optimizer = (notebook.names[name] for name in ("loop", "optimizer"))
    assert (loop.step, loop.epoch) == (7, 2)
    notebook.run(TRAIN)
    assert (loop.step, loop.epoch) == (17, 4)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    assert loop.memory == {"phase": 2}


UNOWNED = LOOP.replace("weight=weight, optimizer=optimizer, ", "")


def test_what_no_object_of_the_loop_owns_stays_changed_as_well(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, UNOWNED)
    notebook.interrupt(9)
    notebook.run(CHANGES[0], TRAIN)
    assert float(notebook.names["optimizer"].learning_rate) == pytest.approx(0.01)


def test_what_another_loop_did_in_the_folder_is_no_change(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP, "first = loop")
    notebook.interrupt(7)
    notebook.run(LOOP)
    notebook.interrupt(9, TWICE)  # Which leaves it unsaved.
    notebook.run("loop = first", TRAIN)
    whole = Notebook(tmp_path / "whole")
    whole.run(SETUP, LOOP, TRAIN)
    assert notebook.end() == whole.end()


DRAWS = """
seeds = keras.random.SeedGenerator(7)
mean = keras.metrics.Mean()
plain_step = step

def step(x):
    mean.update_state(plain_step(x * keras.random.uniform((3,), seed=seeds))["loss"])
    return {"loss": mean.result()}

loop = ol.Loop(
    weight=weight, optimizer=optimizer, seeds=seeds, mean=mean, folder=folder,
    compile=False, observers=[],
)
"""


def test_a_look_at_the_model_in_between_changes_nothing(tmp_path):
    ends = []
    for name, step in (("whole", None), ("run", 9)):
        notebook = Notebook(tmp_path / name)
        notebook.run(SETUP, DRAWS)
        if step is not None:
            notebook.interrupt(step)
            notebook.run(
                "keras.random.uniform((3,), seed=seeds); mean.update_state(5.0)"
            )
        notebook.run(TRAIN)
        ends.append(notebook.end())
    assert ends[0] == ends[1]


CAUGHT = """
for epoch in loop.epochs(4):
    try:
        for chunk in epoch.train(step, data, every=2):
            if chunk.step == 7:
                signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        caught = loop.step
"""


def test_a_loop_that_has_caught_ctrl_c_goes_on_and_is_saved(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP, CAUGHT)
    loop = notebook.names["loop"]
    assert notebook.names["caught"] == 7
    # The epoch goes on behind the pass, and the next ones are whole.
    assert (loop.step, loop.epoch) == (17, 4)
    # Its next Ctrl-C is heard, too.
    notebook.run("loop.memory['more'] = True")
    notebook.interrupt(19, TRAIN.replace("4", "6"))
    assert loop.step == 19
    again = Notebook(tmp_path / "run")
    again.run(SETUP, LOOP, CAUGHT, TRAIN.replace("4", "6"))
    assert (again.names["loop"].step, again.names["loop"].epoch) == (27, 6)


def test_ctrl_c_is_heard_again_in_the_epoch_after_one_that_was_caught(tmp_path):
    notebook = Notebook(tmp_path / "run")
    notebook.run(SETUP, LOOP)
    cell = CAUGHT.replace("== 7", "in (7, 9)") + "        if epoch.number == 3: raise\n"
    with pytest.raises(KeyboardInterrupt):
        notebook.run(cell)
    # Saved behind the chunk, and not left at once.
    assert notebook.names["caught"] == 9
    assert (tmp_path / "run" / "checkpoints" / "step-9").exists()
    again = Notebook(tmp_path / "run")
    again.run(SETUP, LOOP, TRAIN)
    assert again.names["loop"].epoch == 4


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
