"""Time per step as the work grows: batch, model, number of steps, length of the data.

    python benchmarks/growth.py --picture docs/growth.png

One thing grows at a time, the others stay small. What must not grow with it has to
stay level: the time per step against the number of steps (each of them is kept in the
history) and against the length of the data; the time per example and per weight must
not rise. The sizes of one row are timed in turn, round after round; numbers of steps
once each, in a run of their own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from machine import machine

BACKENDS = ("jax", "tensorflow", "torch")
ROUNDS = 5
SIZES = {
    "batch": (8, 32, 128, 512, 2048),
    "width": (16, 64, 256, 1024),
    "steps": (1_000, 10_000, 100_000, 1_000_000),
    "examples": (1_000, 10_000, 100_000, 1_000_000),
}


def job(
    *, batch: int = 32, width: int = 16, examples: int = 4096
) -> Callable[[int], float]:
    """Makes a network and data; returns what runs some steps and gives the seconds."""
    import keras
    import numpy as np

    import ownloop as ol

    model = keras.Sequential(
        [
            keras.Input((32,)),
            keras.layers.Dense(width, "relu"),
            keras.layers.Dense(width, "relu"),
            keras.layers.Dense(10),
        ]
    )
    optimizer = keras.optimizers.SGD(1e-3)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):  # type: ignore[no-untyped-def]
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    random = np.random.default_rng(0)
    x = random.random((examples, 32), "float32")
    y = random.integers(0, 10, examples)
    data = ol.Batches((x, y), batch_size=batch, shuffle=True, drop_remainder=True)
    loop = ol.Loop(model=model, observers=[])
    epochs = loop.epochs()

    def run(steps: int) -> float:
        epoch = next(epochs)
        begin = time.perf_counter()
        epoch.train(step, data, steps=steps).run()
        return time.perf_counter() - begin

    run(300)
    return run


def measure(most_steps: int) -> dict[str, dict[int, float]]:
    """Returns the microseconds per step, by what grows and how large it is."""
    found: dict[str, dict[int, float]] = {}
    for what in ("batch", "width", "examples"):
        runs = {size: job(**_kept(what, size)) for size in SIZES[what]}
        seconds: dict[int, list[float]] = {size: [] for size in runs}
        for _ in range(ROUNDS):
            for size, run in runs.items():
                # Fewer of those that take longer.
                work = size if what != "examples" else 1_000
                steps = max(20, min(2_000, 2_000_000 // work))
                seconds[size].append(run(steps) / steps)
        found[what] = {s: 1e6 * statistics.median(v) for s, v in seconds.items()}
    found["steps"] = {
        steps: 1e6 * job()(steps) / steps
        for steps in SIZES["steps"]
        if steps <= most_steps
    }
    return found


def _kept(what: str, size: int) -> dict[str, int]:
    return {what: size} | ({"examples": 8192} if what == "batch" else {})


def table(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    """Prints a table for each thing that grows."""
    print(f"\nmicroseconds per step on {machine()}")
    for what in SIZES:
        columns = {b: found[what] for b, found in figures.items()}
        print(f"\n{what:>12}" + "".join(f"{backend:>12}" for backend in columns))
        for size in SIZES[what]:
            cells = [column.get(str(size)) for column in columns.values()]
            texts = ["-" if cell is None else f"{cell:,.1f}" for cell in cells]
            print(f"{size:>12,}" + "".join(f"{text:>12}" for text in texts))


def picture(figures: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Draws one panel for each thing that grows."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, 4, figsize=(14, 3.4), sharey=True, layout="constrained"
    )
    titles = {
        "batch": "examples in a batch",
        "width": "units in a layer",
        "steps": "steps in the run",
        "examples": "examples in the data",
    }
    for panel, (what, title) in zip(panels, titles.items(), strict=True):
        for backend, found in figures.items():
            sizes = [int(size) for size in found[what]]
            panel.plot(sizes, list(found[what].values()), marker="o", label=backend)
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("microseconds per step")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    words.add_argument("--most-steps", type=int, default=SIZES["steps"][-1])
    words.add_argument("--picture", type=Path)
    words.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = words.parse_args()
    if chosen.worker:
        print(json.dumps(measure(chosen.most_steps)))
        return
    figures = {}
    for backend in chosen.backends:
        done = subprocess.run(
            [sys.executable, __file__, "--worker", f"--most-steps={chosen.most_steps}"],
            env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        figures[backend] = json.loads(done.stdout.splitlines()[-1])
    table(figures)
    if chosen.picture:
        picture(figures, chosen.picture)


if __name__ == "__main__":
    main()
