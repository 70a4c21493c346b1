"""Layers that a script has frozen on its way are frozen when it is continued."""

import functools
import os
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed, end_of_process
from ownloop.errors import FolderError
from ownloop.events import Notice

DATA = ol.Batches(np.arange(24, dtype="float32").reshape(8, 3) / 24, batch_size=2)


class Script:
    """A script that trains six epochs, and freezes layers at the heads of some."""

    def __init__(self, folder, head, *, owns=True, begin=None, resume=True):
        keras.utils.set_random_seed(1)
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.base = keras.layers.Dense(2, name="base")
        self.top = keras.layers.Dense(1, name="top")
        layers = [keras.Input((3,)), self.norm, self.base, self.top]
        self.model = keras.Sequential(layers, name="model")
        if begin is not None:
            begin(self)
        self.head, self.said = head, []
        owned = {"model": self.model} if owns else {}
        self.loop = ol.Loop(
            folder=folder,
            compile=False,
            save=None,
            # So that each epoch is saved at its end.
            keep=ol.Keep(best=1, by="train_loss"),
            observers=[self.said.append],
            resume=resume,
            **owned,
        )

    def step(self, x):
        loss = keras.ops.mean((self.model(x, training=True) - 1.0) ** 2)
        for variable in self.model.trainable_variables:
            variable.assign(variable * 0.9 + 0.01 * loss)
        return {"loss": loss}

    def run(self, killed_in=None, asked_in=None):
        try:
            return self._run(killed_in, asked_in)
        finally:
            end_of_process(self.loop)

    def _run(self, killed_in, asked_in):
        for epoch in self.loop.epochs(6):
            self.head(self, epoch.number)
            for chunk in epoch.train(self.step, DATA, every=1):
                if chunk.batch == 2 and epoch.number == killed_in:
                    raise Killed
                if chunk.batch == 2 and epoch.number == asked_in:
                    os.kill(os.getpid(), signal.SIGTERM)
        return (
            [
                keras.ops.convert_to_numpy(v.value).tolist()
                for v in self.model.variables
            ],
            [layer.trainable for layer in (self.norm, self.base, self.top)],
            self.loop.history.steps["train_loss"].tolist(),
        )

    def notices(self, word):
        return [e.text for e in self.said if isinstance(e, Notice) and word in e.text]


def once(script, epoch):
    if epoch == 3:
        script.norm.trainable = script.base.trainable = False
    if epoch == 5:
        script.base.trainable = True


def always(script, epoch):
    script.norm.trainable = script.base.trainable = epoch < 3


def whole_and_then_parts(script, epoch):
    if epoch == 3:
        script.model.trainable = False
        script.top.trainable = True
        script.model.trainable = script.norm.trainable = True


def by_what_was(script, epoch):
    if epoch == 3:
        script.base.trainable = False
    elif not script.base.trainable:
        script.norm.trainable = False


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what gives the end of a script that nobody has killed."""
    return functools.cache(
        lambda head: Script(tmp_path_factory.mktemp("w"), head).run()
    )


@pytest.mark.in_turn(of=("jax",), most=8)
@pytest.mark.parametrize("head", [once, always, whole_and_then_parts, by_what_was])
@pytest.mark.parametrize("epoch", [3, 4, 6])
@pytest.mark.parametrize("asked", [False, True])
def test_what_was_frozen_at_an_epochs_head_is_frozen(
    tmp_path, whole, head, epoch, asked
):
    with pytest.raises(SystemExit if asked else Killed):
        Script(tmp_path / "run", head).run(
            **{"asked_in" if asked else "killed_in": epoch}
        )
    assert Script(tmp_path / "run", head).run() == whole(head)


def test_what_the_script_itself_sets_otherwise_is_refused(tmp_path):
    def freeze(script):
        script.base.trainable = False

    with pytest.raises(Killed):
        Script(tmp_path, once).run(killed_in=3)
    words = "base.trainable was True and is False"
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        Script(tmp_path, once, begin=freeze).run()
    script = Script(tmp_path, lambda *_: None, begin=freeze, resume="inexact")
    _, flags, _ = script.run()
    assert flags == [True, False, True]
    assert script.notices(f"continuing inexactly, since {words}")


@pytest.mark.parametrize("how", ["killed_in", "asked_in"])
def test_of_layers_that_the_loop_does_not_own_it_is_said(tmp_path, how):
    with pytest.raises((Killed, SystemExit)):
        Script(tmp_path, once, owns=False).run(**{how: 4})
    again = Script(tmp_path, once, owns=False)
    words = r"base/kernel.trainable was False and is True"
    if how == "asked_in":
        where = r"exactly: of layers that `Loop\(...\)` does not own, .*"
        with pytest.raises(FolderError, match=where + words):
            again.run()
    else:
        again.run()
        assert again.notices(f"{words}")
        assert again.notices("right if the head of epoch 4 set it")
