"""The smallest run that writes every file, for kills and failures at each call.

It may end as it should, by a `break`, or by an exception of the user's own.
"""

import os
from pathlib import Path

import keras
import numpy as np

import ownloop as ol
from faults.digests import Digests, array_digest, file_digests
from faults.seeds import seed
from ownloop.checkpoints import Store
from ownloop.folder import Layout

ENDING = "TINY_ENDING"
"""In the environment, so that all scripts have the same code: how the run ends."""

_STEPS_BEFORE_THE_ERROR = 6


class UserError(Exception):
    """What the user's own code raises."""


def play(folder: Path) -> Digests:
    """Run it, or what is left of it; nothing is compiled. Give all that came of it."""
    return digests(*run(folder), folder)


def run(folder: Path) -> tuple[ol.Loop, keras.Variable]:
    """Run it alone. A step of each epoch is not finite, is skipped and kept."""
    seed(3)
    weight = keras.Variable(1.0, name="weight")
    data = ol.Batches(np.array([0, 1, np.nan, 3], "float32"), batch_size=1)
    calls = []

    def step(x):
        calls.append(None)
        _raise_if_due("error in a step", len(calls))
        weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
        return keras.ops.sum(weight.value)

    loop = ol.Loop(
        compile=False,
        observers=[],
        folder=folder,
        save=2,
        keep=1,
        nonfinite="skip",
        weight=weight,
    )
    for epoch in loop.epochs(2):
        for chunk in epoch.train(step, data, every=3):
            loop.print(chunk.step, chunk.mean.loss)
            _raise_if_due("error in the body", chunk.step)
        if epoch.number == 2 and os.environ.get(ENDING) == "break":
            break
    return loop, weight


def digests(loop: ol.Loop, weight: keras.Variable, folder: Path) -> Digests:
    """Digest what a run gave, the steps included that it has kept as evidence."""
    items = {"weight": array_digest(weight), "step": repr(loop.step)}
    layout = Layout(folder)
    kept = Store(layout.nonfinite, run=layout.read_identity())
    for name in kept.names():
        arrays = kept.load(name).tensors
        items[f"evidence {name}"] = repr([(n, e.array) for n, e in arrays.items()])
    return Digests(items | file_digests(loop, folder))


def _raise_if_due(ending: str, count: int) -> None:
    if os.environ.get(ENDING) == ending and count >= _STEPS_BEFORE_THE_ERROR:
        raise UserError(ending)
