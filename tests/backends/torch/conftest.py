"""What the tests of the PyTorch room share; without PyTorch they are not collected."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from ownloop.backends import current
from ownloop.backends.contract import AbstractBackend, ChunkValues, LeafSpec, StepValues

if os.environ["KERAS_BACKEND"] != "torch":
    collect_ignore_glob = ["test_*.py"]


@dataclass(frozen=True)
class Batches:
    """A segment of rows, of stacked leaves, or of neither."""

    count: int
    rows: np.ndarray | None = None
    leaves: Sequence[np.ndarray] | None = None


@dataclass(frozen=True)
class Job:
    """A step on a model, its data, and the shape of a batch."""

    step: Callable[[Sequence[Any]], StepValues]
    data: tuple[np.ndarray, ...]
    batch: tuple[LeafSpec, ...]

    def run(self, program: Any, parts: Sequence[int]) -> ChunkValues:
        """Runs so many batches after another, in chunks of these lengths."""
        size = self.batch[0].shape[0]
        rows = np.arange(sum(parts) * size).reshape(-1, size) % len(self.data[0])
        placed, values, done = current().place(self.data), [], 0
        for n in parts:
            segment = Batches(n, rows=rows[done : done + n])
            values.append(program.run([segment], placed))
            done += n
        columns = zip(*(v.every for v in values), strict=True)
        return ChunkValues(tuple(np.concatenate(c) for c in columns), values[-1].final)


@pytest.fixture
def room() -> AbstractBackend:
    return current()


@pytest.fixture
def batches() -> type[Batches]:
    return Batches


@pytest.fixture
def gradient(room: AbstractBackend) -> Callable[..., Any]:
    """Returns a function that calls another under a tape."""

    def call(function: Callable[[], Any], sources: Sequence[Any]) -> tuple[Any, Any]:
        tape = room.tape(persistent=False, watch_accessed_variables=True)
        tape.start()
        try:
            loss = function()
        finally:
            tape.stop()
        return loss, tape.gradient([loss], sources, [None])

    return call


@pytest.fixture
def classifier(gradient: Callable[..., Any]) -> Callable[..., Job]:
    """Returns a function that makes a job of a model and an optimizer."""

    def make(model: Any, optimizer: Any, *, integers: bool = False) -> Job:
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        def step(leaves: Sequence[Any]) -> StepValues:
            x, y = leaves

            kept = []

            def loss() -> Any:
                kept.append(model(x, training=True))
                return loss_of(y, kept[0])

            value, gradients = gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            accuracy.update_state(y, kept[0])
            return StepValues((value, accuracy.result()), ())

        random = np.random.default_rng(0)
        shape = (64, *model.input_shape[1:])
        x = random.normal(size=shape).astype("float32")
        if integers:
            x = random.integers(0, 10, shape).astype("int32")
        y = random.integers(0, 4, 64).astype("int32")
        specs = (
            LeafSpec((8, *shape[1:]), str(x.dtype)),
            LeafSpec((8,), "int32"),
        )
        return Job(step, (x, y), specs)

    return make
