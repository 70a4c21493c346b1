"""A run is only gone on with where its objects have the settings that they had."""

import os
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import FolderError
from ownloop.events import Notice

DATA = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "run/checkpoints").glob("step-*"))


def run_with(tmp_path, rate, *, decay=0.0, leave=True, resume=True):
    """Run an epoch more over a layer with a setting, as another process would."""
    said = []
    layer = keras.layers.Dropout(rate, name=f"drop_{len(names(tmp_path))}", seed=1)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=decay)
    loop = ol.Loop(
        folder=tmp_path / "run",
        observers=[lambda e: said.append(e.text) if isinstance(e, Notice) else None],
        compile=False,
        resume=resume,
        layer=layer,
        optimizer=optimizer,
    )
    try:
        for epoch in loop.epochs(loop.epoch + 1 + len(names(tmp_path))):
            epoch.train(lambda x: {"mean": keras.ops.mean(layer(x))}, DATA).run()
            layer.rate = 0.9  # What the script changes on its way is its own.
    finally:
        if leave:
            loop._run.home._files.close()
    return said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": 0.4}, "dropout.rate was 0.3 and is 0.4"),
        ({"decay": 0.5}, "sgd.weight_decay was 0.0 and is 0.5"),
    ],
)
def test_another_setting_of_an_object_is_refused_by_name(tmp_path, change, words):
    run_with(tmp_path, 0.3)
    words = words.replace("dropout", "objects drop").replace("sgd", "objects sgd")
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        run_with(tmp_path, **{"rate": 0.3} | change)
    said = run_with(tmp_path, **{"rate": 0.3} | change, resume="inexact")
    assert any(f"continuing inexactly, since {words}" in text for text in said)


def test_equal_settings_go_on_also_where_the_script_changes_them(tmp_path):
    for _ in range(3):
        run_with(tmp_path, 0.3)


def test_a_cell_run_again_may_have_changed_settings_before(tmp_path):
    run_with(tmp_path, 0.3, leave=False)
    run_with(tmp_path, 0.9)


class Killed(BaseException):
    """Stands for the end of a process: nothing is saved on the way out."""


def train(tmp_path, step_of, data_of, *, killed_in=None, asked=False, name="run"):
    """Train five epochs, each with a step and data of its own."""
    weight = keras.Variable(1.0, name="weight")

    def main_step(x):
        weight.assign(weight * 0.9 + 0.1 * keras.ops.mean(x))
        return {"loss": weight.value}

    def warmup_step(x):
        weight.assign(weight * 0.5 + 0.1 * keras.ops.mean(x))
        return {"loss": weight.value}

    # So that each epoch is saved at its end.
    options = {"save": None, "keep": ol.Keep(best=1, by="train_loss")}
    loop = ol.Loop(
        folder=tmp_path / name, compile=False, observers=[], weight=weight, **options
    )
    steps = {"main": main_step, "warmup": warmup_step}
    for epoch in loop.epochs(5):
        step, data = steps[step_of(epoch.number)], data_of(epoch.number)
        for chunk in epoch.train(step, data, every=1):
            if epoch.number == killed_in and chunk.batch == 2:
                if not asked:
                    raise Killed
                os.kill(os.getpid(), signal.SIGTERM)
    return loop.history.steps["train_loss"].tolist()


def warmup_first(epoch):
    return "warmup" if epoch <= 2 else "main"


def always_main(epoch):
    return "main"


def new_data(epoch):
    return ol.Batches(np.arange(8, dtype="float32") + epoch, batch_size=2)


def same_data(epoch):
    return DATA


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
@pytest.mark.parametrize("what", ["another step", "other data"])
def test_what_a_later_epoch_brings_is_not_taken_for_what_was_there(
    tmp_path, what, epoch, asked
):
    step_of = warmup_first if what == "another step" else always_main
    data_of = new_data if what == "other data" else same_data
    expected = train(tmp_path, step_of, data_of, name="whole")
    with pytest.raises(SystemExit if asked else Killed):
        train(tmp_path, step_of, data_of, killed_in=epoch, asked=asked)
    assert train(tmp_path, step_of, data_of) == expected


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize(
    ("step_of", "data_of", "words"),
    [
        (warmup_first, same_data, "pass 'train': code was"),
        (always_main, new_data, "pass 'train': data values was"),
    ],
)
def test_what_the_run_was_in_the_middle_of_must_be_as_it_was(
    tmp_path, step_of, data_of, words, epoch
):
    with pytest.raises(SystemExit):
        train(tmp_path, always_main, same_data, killed_in=epoch, asked=True)
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        train(tmp_path, step_of, data_of)


def test_data_that_two_epochs_had_are_expected_in_the_third(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, always_main, same_data, killed_in=3)
    with pytest.raises(FolderError, match="pass 'train': data values was"):
        train(tmp_path, always_main, new_data)
