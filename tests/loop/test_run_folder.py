"""What a loop keeps in its folder, and when."""

import collections
import enum
import errno
import os
import re
import shutil
import signal
import threading
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.checkpoints import Store
from ownloop.checkpoints.disk import RealDisk
from ownloop.errors import CheckpointError, FolderError, LoopError
from ownloop.events import Notice
from ownloop.history.database import read_database
from ownloop.loop import run_files


class Mode(enum.StrEnum):
    """A word of the user's that is more than a string."""

    TRAIN = "train"


@pytest.fixture
def make(tmp_path):
    def make(**options):
        weight = keras.Variable(0.0, name="weight")
        options = {"compile": False, "observers": (), "save": 1} | options
        return ol.Loop(folder=tmp_path / "run", weight=weight, **options), weight

    return make


def value_of(weight):
    return float(keras.ops.convert_to_numpy(weight.value))


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "run/checkpoints").glob("step-*"))


DATA = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)


def test_a_constructor_touches_nothing(tmp_path, make):
    make()
    assert list(tmp_path.iterdir()) == []


def test_the_best_epochs_state_stays_whatever_is_saved_later(tmp_path, make):
    losses, val_loss = iter([3.0, 1.0, 2.0, 4.0]), keras.Variable(0.0)
    loop, weight = make(keep=ol.Keep(last=1, best=2, by="val_loss"))

    def step(x):
        weight.assign_add(keras.ops.mean(x))
        return {"loss": keras.ops.sum(x)}

    for epoch in loop.epochs(4):
        epoch.train(step, DATA).run()
        val_loss.assign(next(losses))
        epoch.validate(lambda x: {"loss": val_loss + 0 * keras.ops.sum(x)}, DATA)
    # The ends of epochs 2 and 3 have the lowest losses, and the end of all is the last.
    kept = {int(re.match(r"step-(\d+)", name)[1]) for name in names(tmp_path)}
    assert kept == {8, 12, 16}


def test_what_a_kept_checkpoint_has_is_put_back_by_its_name(tmp_path, make):
    def play():
        loop, weight = make(keep=ol.Keep(last=1, best=1, by="train_loss"), save=None)

        def step(x):
            weight.assign_add(1.0)
            return {"loss": abs(weight - 6.0) + 0.0 * keras.ops.sum(x)}

        for epoch in loop.epochs(4):
            epoch.train(step, DATA).run()
        return loop, weight

    def load_best(loop):
        loop.load(f"step-{loop.history.lowest('train_loss').step}")

    play()
    loop, weight = play()  # The run is over, and nothing is trained again.
    assert value_of(weight) == 16.0
    load_best(loop)
    assert value_of(weight) == 8.0
    assert loop.step == 16
    with pytest.raises(LoopError, match=r"name 'step-4'\. Saved are: 'step-8', '"):
        loop.load("step-4")
    (tmp_path / "run/checkpoints/step-8/state.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-8"):
        load_best(loop)
    assert value_of(weight) == 8.0


@pytest.mark.parametrize("save", [None, 4])
@pytest.mark.parametrize("asked", [False, True])
def test_of_checkpoints_at_one_step_the_epochs_own_is_put_back(make, save, asked):
    def play(at=None):
        loop, weight = make(keep=ol.Keep(last=2, best=1, by="val_loss"), save=save)

        def step(x):
            weight.assign_add(1.0)
            return {"loss": keras.ops.sum(x)}

        for epoch in loop.epochs(3):
            for chunk in epoch.train(step, DATA, every=2):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
            weight.assign_add(0.5)
            epoch.validate(lambda x: (weight - 5.0) ** 2 + 0 * keras.ops.sum(x), DATA)
        loop.load(f"step-{loop.history.lowest('val_loss').step}")
        return value_of(weight)

    if asked:
        with pytest.raises(SystemExit):
            play(at=4)
    assert play() == 4.5


def test_a_checkpoint_that_is_gone_is_not_missed_on_the_way_back(make):
    def play(at=None):
        loop, weight = make(keep=1, save=2)

        def step(x):
            weight.assign_add(1.0)
            return {"loss": keras.ops.sum(x)}

        for epoch in loop.epochs(2):
            if epoch.number == 2:
                loop.load("step-4")
            for chunk in epoch.train(step, DATA, every=2):
                if chunk.step == at:
                    os.kill(os.getpid(), signal.SIGTERM)
        return value_of(weight)

    with pytest.raises(SystemExit):
        play(at=6)
    assert play() == 8.0


def test_a_run_that_skips_many_steps_again_keeps_what_it_kept(tmp_path, make):
    x = np.arange(1, 61, dtype="float32")
    x[20:50] = -1
    data = ol.Batches(x, batch_size=2)

    def play(at=None):
        loop, weight = make(save=None, nonfinite="skip")

        def step(x):
            weight.assign_add(keras.ops.mean(x))
            return {"loss": keras.ops.log(keras.ops.mean(x))}

        for epoch in loop.epochs(1):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    raise KeyError("mine")
        return loop.skipped

    with pytest.raises(KeyError):
        play(at=28)
    assert play() == 15


def test_it_is_said_once_that_there_is_no_value_to_keep_the_best_by(make):
    said = []
    keep = ol.Keep(last=1, best=1, by="train_los")
    loop, weight = make(keep=keep, observers=[said.append])
    for epoch in loop.epochs(3):
        epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
        weight.assign(weight + 1)
    texts = [e.text for e in said if isinstance(e, Notice) and "best" in e.text]
    assert len(texts) == 1
    assert "'train_los' is none of the values of an epoch, train_loss" in texts[0]
    assert texts[0].endswith("did you mean 'train_loss'?")


def test_a_finished_run_that_is_started_again_says_once_that_it_is_there(make):
    said = []
    for _ in range(2):
        loop, _ = make(observers=[said.append])
        for total in (1, 2):
            for epoch in loop.epochs(total):
                epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
    texts = [event.text for event in said if isinstance(event, Notice)]
    assert [text for text in texts if "no epoch is left" in text] == []
    assert sum("continuing" in text for text in texts) == 1
    assert list(loop.epochs(2)) == []
    assert "no epoch is left" in said[-2].text


def test_what_is_looked_at_after_the_last_epoch_is_in_the_database(tmp_path, make):
    loop, _ = make()
    for epoch in loop.epochs(1):
        epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
    loop.validate(lambda x: {"loss": keras.ops.sum(x)}, DATA, name="test")
    stored = read_database(tmp_path / "run/history.db")
    assert stored.looks("test_loss").value.tolist() == [7.0]


@pytest.mark.parametrize(
    ("value", "place", "words"),
    [
        ({3: "a"}, "", "its key 3 would come back as a string"),
        ({"a": [(1, 2)]}, "['a'][0]", r"the tuple \(1, 2\) would come back as a list"),
        (np.zeros(2), "", r"the ndarray array\(\[0., 0.\]\) is no JSON"),
        (collections.Counter("a"), "", r"the Counter .* would come back as a dict"),
        (
            [1, np.float64(0.5)],
            "[1]",
            r"the float64 .* as a float: write float\(\.\.\.\)",
        ),
        (np.complex64(3), "", r"the complex64 .* is no JSON\."),
        (np.float32(3), "", r"the float32 .* is no JSON: write float\(\.\.\.\)"),
        ({"n": np.int64(3)}, "['n']", r"the int64 .* is no JSON: write int\(\.\.\.\)"),
        ({Mode.TRAIN: 1}, "", "its key .* would come back as a string"),
        (Mode.TRAIN, "", "the Mode .* would come back as a str: write str"),
    ],
)
def test_memory_that_would_come_back_as_something_else_is_refused(
    make, value, place, words
):
    loop, _ = make()
    loop.memory.update({"many": list(range(100)), "mine": value})

    def train():
        for epoch in loop.epochs(1):
            epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()

    place = re.escape(f"loop.memory['mine']{place}")
    with pytest.raises(LoopError, match=f"^{place} cannot be saved: {words}.*Expected"):
        train()


def test_a_validation_that_raises_leaves_the_training_saved(tmp_path, make):
    class OwnError(Exception):
        pass

    def bad(x):
        raise OwnError

    def train(val_step):
        loop, weight = make(save=None)

        def step(x):
            weight.assign_add(keras.ops.mean(x))
            return {"loss": keras.ops.sum(x)}

        for epoch in loop.epochs(1):
            epoch.train(step, DATA).run()
            epoch.validate(val_step, DATA)
        return value_of(weight)

    with pytest.raises(OwnError):
        train(bad)
    assert names(tmp_path) == ["step-4"]
    assert train(lambda x: {"loss": keras.ops.sum(x)}) == 14.0


class Counter:
    """Something with a state of its own; as an observer it counts nothing."""

    def __call__(self, event):
        pass

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"mine": Counter()}, {}, "mine was Counter and is not there"),
        ({}, {"mine": Counter()}, "mine was not there and is Counter"),
        ({"observers": [Counter()]}, {}, "observer 1 was Counter and is not there"),
        (
            {"mine": keras.Variable(0.0)},
            {"mine": Counter()},
            "mine was Variable and is Counter",
        ),
    ],
)
def test_other_objects_than_those_of_the_run_are_refused(
    tmp_path, make, before, now, words
):
    def train(**options):
        loop, weight = make(**options)
        weight.assign(5.0)
        try:
            for epoch in loop.epochs(loop.epoch + 1):
                epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
        finally:
            seen.append(value_of(weight))

    seen = []
    train(**before)
    kept = names(tmp_path)
    with pytest.raises(CheckpointError, match=rf"{words}.*Expected the objects and"):
        train(**now)
    assert seen == [5.0, 5.0]
    assert names(tmp_path) == kept


def test_the_users_error_is_the_one_that_is_raised_where_saving_fails_too(
    make, monkeypatch
):
    class OwnError(Exception):
        pass

    def step(x):
        weight.assign_add(keras.ops.mean(x))
        if value_of(weight) > 2:
            raise OwnError
        return {"loss": keras.ops.sum(x)}

    def refuse(*_):
        raise CheckpointError("No room. Expected some. Make room.")

    def train():
        for epoch in loop.epochs(1):
            epoch.train(step, DATA).run()

    loop, weight = make(save=None)
    monkeypatch.setattr(Store, "commit", refuse)
    with pytest.raises(OwnError) as raised:
        train()
    assert any("not be saved either: No room." in n for n in raised.value.__notes__)


def test_an_epoch_of_single_steps_is_recorded_on_its_way(make, tmp_path, monkeypatch):
    monkeypatch.setattr(run_files, "_FLUSH_SECONDS", 0.0)
    loop, _ = make()
    for epoch in loop.epochs(1):
        for i in range(3):
            epoch.step(lambda x: {"loss": keras.ops.sum(x)}, DATA.batch(1, i))
        stored = read_database(tmp_path / "run/history.db")
    # Each step hands over what the ones before it have logged.
    assert stored.steps["train_loss"].tolist() == [1.0, 5.0]


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_folder_that_was_deleted_under_a_run_is_left_alone(
    make, tmp_path, is_made_again
):
    loop, _ = make(save=None)
    with pytest.raises(FolderError, match=r"deleted.*Expected.*Begin anew"):  # noqa: PT012
        for epoch in loop.epochs(2):
            epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
            shutil.rmtree(tmp_path / "run")
            if is_made_again:
                (tmp_path / "run").mkdir()
                (tmp_path / "run/lock").write_text("another's")
    found = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert found == (["lock"] if is_made_again else [])


def test_a_save_that_fails_beside_the_right_error_is_a_note_on_it(
    make, tmp_path, monkeypatch
):
    ignored, is_refused = [], threading.Event()
    commit, begin = Store.commit, run_files.RunFiles.begin_commit

    def write_late(store, checkpoint):
        assert checkpoint.step < 6 or is_refused.wait(60)
        return commit(store, checkpoint)

    def refuse(*arguments):
        try:
            begin(*arguments)
        except FolderError:
            is_refused.set()
            raise

    monkeypatch.setattr("sys.unraisablehook", ignored.append)
    monkeypatch.setattr(Store, "commit", write_late)
    monkeypatch.setattr(run_files.RunFiles, "begin_commit", refuse)
    loop, _ = make()

    def cell():
        for epoch in loop.epochs(2):
            for chunk in epoch.train(
                lambda x: {"loss": keras.ops.sum(x)}, DATA, every=1
            ):
                if chunk.step == 7:  # That of the sixth step is being written.
                    (tmp_path / "run").rename(tmp_path / "elsewhere")

    with pytest.raises(FolderError, match=r"deleted.*Begin anew") as raised:
        cell()
    (note,) = raised.value.__notes__
    assert note.startswith("The run could not be saved either: Could not save step 6")
    assert ignored == []


def test_each_epoch_of_single_steps_is_saved_however_slow_the_disk(
    make, tmp_path, monkeypatch
):
    whole = Store.commit

    def slowly(store, checkpoint):
        time.sleep(0.05)
        return whole(store, checkpoint)

    monkeypatch.setattr(Store, "commit", slowly)
    loop, _ = make(save=None, keep=10)
    for epoch in loop.epochs(4):
        epoch.step(lambda x: {"loss": keras.ops.sum(x)}, DATA.batch(epoch.number, 0))
    assert {"step-1", "step-2", "step-3", "step-4"} <= set(names(tmp_path))


def test_single_steps_are_told_that_a_save_has_failed(make, monkeypatch):
    def refuse(*_):
        raise CheckpointError("No room. Expected some. Make room.")

    loop, _ = make(save=None)
    with pytest.raises(CheckpointError, match="No room"):  # noqa: PT012
        for epoch in loop.epochs(2):
            if epoch.number == 2:
                loop._run.home._files.wait()
                epoch.step(lambda x: {"loss": keras.ops.sum(x)}, DATA.batch(1, 0))
                pytest.fail("it has heard of nothing")
            epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
            monkeypatch.setattr(Store, "commit", refuse)


def test_a_checkpoint_that_cannot_be_deleted_ends_no_run(make, tmp_path, monkeypatch):
    said = []
    loop, _ = make(keep=1, observers=[said.append])

    def refuse(disk, path):
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    with monkeypatch.context() as busy:
        busy.setattr(RealDisk, "remove_file", refuse)
        for epoch in loop.epochs(3):
            epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
    texts = [e.text for e in said if isinstance(e, Notice) and "older" in e.text]
    (text,) = texts
    assert re.search(r"older checkpoints stay.*prune.*busy", text)
    assert len(names(tmp_path)) == 1
    assert len(list((tmp_path / "run/checkpoints").iterdir())) > 1
    for epoch in loop.epochs(4):
        epoch.train(lambda x: {"loss": keras.ops.sum(x)}, DATA).run()
    assert len(list((tmp_path / "run/checkpoints").iterdir())) == 1


def test_a_step_whose_evidence_could_not_be_kept_is_met_again(
    tmp_path, make, monkeypatch
):
    data = ol.Batches(np.array([1, 2, np.nan, 4], "float32"), batch_size=1)

    def train():
        loop, weight = make(nonfinite="skip")

        def step(x):
            weight.assign_add(keras.ops.sum(x))
            return {"loss": weight.value}

        for epoch in loop.epochs(1):
            epoch.train(step, data).run()
        return value_of(weight)

    whole = Store.commit

    def refuse(store, checkpoint):
        if "cause" in checkpoint.meta:
            raise CheckpointError("No room. Expected some. Make room.")
        return whole(store, checkpoint)

    with monkeypatch.context() as broken:
        broken.setattr(Store, "commit", refuse)
        with pytest.raises(CheckpointError, match="No room"):
            train()
    assert train() == 7.0
    assert [path.name for path in (tmp_path / "run/nonfinite").iterdir()] == ["step-3"]


@pytest.mark.parametrize("number", [np.int64, np.array], ids=["scalar", "array"])
def test_whole_numbers_of_numpy_are_taken_wherever_one_is_asked_for(make, number):
    def play(epochs):
        loop, weight = make(save=number(2), keep=number(2), nonfinite=number(1))

        def step(x):
            weight.assign_add(1.0)
            return {"loss": keras.ops.sum(x)}

        data = ol.Batches(np.arange(8, dtype="float32"), batch_size=number(2))
        for epoch in loop.epochs(number(epochs)):
            assert str(epoch) == f"Epoch({epoch.number} of {epochs})"
            for _ in epoch.train(step, data, every=number(2), steps=number(3)):
                pass
        return loop

    assert play(2).step == 6
    assert play(3).step == 9
