"""The smallest run that writes every file: for kills at each call of the system."""

from pathlib import Path

import keras
import numpy as np

import ownloop as ol
from faults.digests import Digests, array_digest, file_digests
from faults.seeds import seed


def play(folder: Path) -> Digests:
    """Run it, or what is left of it; nothing is compiled."""
    seed(3)
    weight = keras.Variable(1.0, name="weight")
    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)

    def step(x):
        weight.assign(weight * 0.9 + 0.1 * keras.ops.sum(x))
        return keras.ops.sum(weight.value)

    loop = ol.Loop(
        compile=False, observers=[], folder=folder, save=2, keep=1, weight=weight
    )
    for epoch in loop.epochs(2):
        for chunk in epoch.train(step, data, every=3):
            loop.print(chunk.step, chunk.mean.loss)
    items = {"weight": array_digest(weight), "step": repr(loop.step)}
    return Digests(items | file_digests(loop, Path(folder)))
