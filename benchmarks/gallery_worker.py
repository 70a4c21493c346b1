"""One loop of `examples/` on one backend: trained, or compared step by step.

Started by `gallery.py`, once for each loop, backend and task. Prints one line of JSON.
"""

import importlib
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

import ownloop as ol

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

STEPS = 20


def normal(*shape: int) -> tuple[str, tuple[int, ...]]:
    return "normal", shape


def uniform(*shape: int) -> tuple[str, tuple[int, ...]]:
    return "uniform", shape


def signed(*shape: int) -> tuple[str, tuple[int, ...]]:
    return "signed", shape


# The random numbers that a step draws for itself, as columns of its batch: how they are
# drawn, and their shape for each example.
COLUMNS: dict[str, list[tuple[str, tuple[int, ...]]]] = {
    "gan": [normal(16)],
    "wasserstein": [normal(16), uniform(1)],
    "variational_autoencoder": [normal(8)],
    "contrastive": [signed(2, 6)],
    "distillation": [signed(2), normal(8, 8)],
    "adversarial": [signed(64)],
    "reinforce": [signed(4), uniform(50)],
}


def train(name: str) -> dict[str, Any]:
    """Trains a loop from start to end."""
    begun = time.perf_counter()
    example = importlib.import_module(name)
    learnt = example.main()
    return {"seconds": time.perf_counter() - begun, "learnt": learnt}


def losses(name: str, start: int = 0) -> dict[str, Any]:
    """Takes the first steps from weights and batches that all backends share."""
    example = importlib.import_module(name)
    set_weights(example, start)
    batches = list(batches_of(example, name, start + 1))
    compiled = ol.Loop(observers=[])
    (chunk,) = run(compiled, example.train_step, batches)
    named = [key for key in chunk.steps if "loss" in key] or list(chunk.steps)
    found = {key: chunk.steps[key].tolist() for key in named}
    return {"losses": found, "loop": compiled, "batches": batches}


def compare(name: str) -> dict[str, Any]:
    """The same, and then times the step, compiled and run eagerly."""
    result = losses(name)
    compiled, batches = result["loop"], result["batches"]
    example = importlib.import_module(name)
    how = [line.strip("│├└─ ") for line in str(compiled).splitlines()][-1]
    fast = min(seconds(compiled, example.train_step, batches) for _ in range(3))
    few = batches[:3]
    eager = ol.Loop(compile=False, observers=[])
    slow = min(seconds(eager, example.train_step, few) for _ in range(2))
    faster = (slow / len(few)) / (fast / len(batches))
    return {"losses": result["losses"], "how": how, "faster": faster}


def run(loop: ol.Loop, step: Any, batches: list[Any]) -> list[Any]:
    """Runs one pass over batches in one chunk."""
    for epoch in loop.epochs(loop.epoch + 1):
        return list(epoch.train(step, batches))
    raise AssertionError("there was no epoch")


def seconds(loop: ol.Loop, step: Any, batches: list[Any]) -> float:
    begun = time.perf_counter()
    run(loop, step, batches)
    return time.perf_counter() - begun


def set_weights(example: ModuleType, seed: int) -> None:
    """Gives every matrix of every model numbers that NumPy has drawn."""
    random = np.random.default_rng(seed)
    for variable in variables_of(example):
        if len(variable.shape) < 2:
            continue
        *inner, rows, columns = variable.shape
        scale = math.sqrt(2 / (math.prod(inner) * (rows + columns)))
        variable.assign(random.normal(0, scale, variable.shape).astype("float32"))


def variables_of(example: ModuleType) -> Iterator[keras.Variable]:
    """Returns the weights of the models that a file names, in the order of names."""
    seen: set[int] = set()
    for _, thing in sorted(vars(example).items()):
        if isinstance(thing, keras.Model) and id(thing) not in seen:
            seen.add(id(thing))
            for variable in thing.weights:
                if id(variable) not in seen:
                    seen.add(id(variable))
                    yield variable


def batches_of(example: ModuleType, name: str, seed: int) -> Iterator[Any]:
    """Returns the first batches, with columns for the numbers that a step draws."""
    random = np.random.default_rng(seed)
    epoch, place = 1, 0
    for _ in range(STEPS):
        batch: tuple[Any, ...] = ()
        size = getattr(example, "GAMES", 1)
        if example.train is not None:
            if place == len(example.train):
                epoch, place = epoch + 1, 0
            found = example.train.batch(epoch, place)
            batch = found if isinstance(found, tuple) else (found,)
            size = len(batch[0])
            place += 1
        columns = [
            drawn(random, kind, (size, *shape)) for kind, shape in COLUMNS.get(name, ())
        ]
        yield (*batch, *columns)


def drawn(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns random numbers of a kind, as float32."""
    if kind == "normal":
        return random.normal(size=shape).astype("float32")
    low = -1.0 if kind == "signed" else 0.0
    return random.uniform(low, 1.0, size=shape).astype("float32")


def main() -> None:
    name, task, *start = sys.argv[1:]
    if task == "losses":
        result = {"losses": losses(name, *map(int, start))["losses"]}
    else:
        result = {"main": train, "compare": compare}[task](name)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
