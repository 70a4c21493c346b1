"""What every contender gets: the digits, the network's sizes, and how it is asked."""

import sys
import time
from collections.abc import Callable

import numpy as np

from ownloop import datasets

EXAMPLES = 50_000
BATCH = 32
SIZES = (784, 512, 256, 128, 10)
RATE = 1e-4


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns 50,000 flattened digits between 0 and 1, and their labels."""
    (x, y), _ = datasets.mnist()
    x = x.reshape(len(x), -1).astype("float32") / 255
    return x[:EXAMPLES], y[:EXAMPLES].astype("int32")


def model():  # type: ignore[no-untyped-def]
    """Returns the job's network in Keras, with weights drawn from a seed."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input(SIZES[:1])
    hidden = inputs
    for units in SIZES[1:-1]:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(SIZES[-1])(hidden))


def serve(epoch: Callable[[], None]) -> None:
    """Runs one epoch for each line on standard input, and prints its seconds."""
    for _ in sys.stdin:
        begin = time.perf_counter()
        epoch()
        print(f"seconds {time.perf_counter() - begin:.6f}", flush=True)
