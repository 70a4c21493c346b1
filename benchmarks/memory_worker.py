"""One way of training for `memory.py`: prints the megabytes of data and of the peak."""

import resource
import sys
from pathlib import Path

import numpy as np

way, megabytes = sys.argv[1], int(sys.argv[2])
FEATURES, BATCH = 784, 32
FILE = Path("examples.npy")


def resident() -> float:
    """Returns the megabytes of this process at this moment."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status does not say how large this process is.")


def examples() -> np.ndarray:
    """Returns the examples, in memory or mapped; the file is written once."""
    rows = megabytes * 2**20 // (4 * FEATURES)
    if not FILE.exists():
        made = np.lib.format.open_memmap(
            FILE, mode="w+", dtype="float32", shape=(rows, FEATURES)
        )
        for start in range(0, rows, 10_000):
            part = made[start : start + 10_000]
            part[:] = np.random.default_rng(start).random(part.shape, "float32")
        made.flush()
        del made
    return np.load(FILE, mmap_mode="r" if way == "mapped" else None)


def ours(x: np.ndarray, y: np.ndarray) -> None:
    import keras

    import ownloop as ol

    model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
    optimizer = keras.optimizers.Adam(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):  # type: ignore[no-untyped-def]
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    data = ol.Batches((x, y), batch_size=BATCH, shuffle=True)
    for epoch in ol.Loop(model=model, observers=[]).epochs(1):
        epoch.train(step, data).run()


def by_hand(x: np.ndarray, y: np.ndarray) -> None:
    """Keras' own step for a batch, over slices of the arrays, by index."""
    import keras

    model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(10)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss_fn)
    order = np.random.default_rng(0).permutation(len(x))
    for start in range(0, len(x), BATCH):
        rows = order[start : start + BATCH]
        model.train_on_batch(x[rows], y[rows])


def main() -> None:
    import keras  # noqa: F401  (so that it does not count)

    x = examples()
    y = np.zeros(len(x), "int32")
    before = resident() - (0 if way == "mapped" else x.nbytes / 2**20)
    (by_hand if way == "hand" else ours)(x, y)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(x.nbytes / 2**20, most - before)


if __name__ == "__main__":
    main()
