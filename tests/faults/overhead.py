"""What saving costs: the digits' model trained with and without saves, in turn.

    KERAS_BACKEND=jax PYTHONPATH=src:tests python -m faults.overhead

The weights and Adam's moments are 7 MB. A save is copied by the loop and written by a
thread while the next steps run; both are counted, since both cores have work to do.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

STEPS, SAVE = 1_000, 100
ROUNDS = 7
BOUND = 1.0
"""In percent of the time, at one save a minute."""


@final
@dataclass(frozen=True)
class OverheadCount:
    """What a save costs.

    Attributes:
        milliseconds: of training, for one save: the median over the rounds.
        low, high: the quartiles.
        percent: of the time, at one save a minute.
    """

    milliseconds: float
    low: float
    high: float
    percent: float

    @property
    def is_sound(self) -> bool:
        return self.percent <= BOUND


def count_overhead(backend: str) -> OverheadCount:
    """Measure it in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "faults.overhead"],
        env=os.environ | {"KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return OverheadCount(**json.loads(done.stdout.splitlines()[-1]))


def measure(home: Path) -> OverheadCount:
    """Train in turn with saves and without; give what is between the two."""
    import keras
    import numpy as np

    import ownloop as ol

    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = generator.random((6400, 784), "float32")
    data = ol.Batches((x, generator.integers(0, 10, 6400)), batch_size=32)
    hidden = [keras.layers.Dense(units, "relu") for units in (512, 256, 128)]
    model = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
    optimizer = keras.optimizers.Adam(1e-4)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):  # type: ignore[no-untyped-def]
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    rounds = []
    for save in (None, SAVE):
        loop = ol.Loop(
            folder=home / str(save),
            save=save,
            observers=[],
            model=model,
            optimizer=optimizer,
        )
        rounds.append(loop.epochs())

    def seconds(epochs) -> float:  # type: ignore[no-untyped-def]
        epoch = next(epochs)  # ends the last one, which is saved: in both
        epoch.train(step, data, steps=SAVE, name="first").run()
        begin = time.perf_counter()
        epoch.train(step, data, steps=STEPS).run()
        return time.perf_counter() - begin

    both = [[seconds(epochs) for epochs in rounds] for _ in range(ROUNDS + 1)][1:]
    saves = STEPS // SAVE
    costs = sorted(1e3 * (saved - plain) / saves for plain, saved in both)
    low, middle, high = statistics.quantiles(costs, n=4, method="inclusive")
    return OverheadCount(middle, low, high, middle / 60e3 * 100)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asdict(measure(Path(folder)))))
