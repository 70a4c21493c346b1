"""The program that compiles nothing: each step is a call of plain Python.

The same on every backend, for `Loop(..., compile=False)`, for debugging, and for
steps that a backend cannot compile. It knows Keras and no framework.
"""

from collections.abc import Iterable, Sequence
from typing import final

import keras
import numpy as np

from ownloop.backends.contract import (
    EAGER,
    AbstractProgram,
    ChunkValues,
    LeafSpec,
    Placed,
    Segment,
    StepFunction,
    choose_capacity,
)


@final
class EagerProgram(AbstractProgram):
    """Runs the step once per batch, on the Keras variables themselves."""

    def __init__(
        self,
        step: StepFunction,
        variables: Sequence[keras.Variable],
        batch: Sequence[LeafSpec],
        reason: str,
    ) -> None:
        self.variables = tuple(variables)
        self.kind = EAGER
        self.reason = reason
        self.capacity = choose_capacity(batch)
        self._step = step
        self._dtypes = [leaf.dtype for leaf in batch]

    def run(self, segments: Iterable[Segment], data: Placed | None) -> ChunkValues:
        every: list[list[np.ndarray]] = []
        final_values: tuple[np.ndarray, ...] = ()
        for segment in segments:
            for i in range(segment.count):
                values = self._step(self._batch(segment, i, data))
                every.append([np.asarray(_numpy(v)) for v in values.every])
                final_values = tuple(_numpy(v) for v in values.final)
        columns = tuple(np.stack(column) for column in zip(*every, strict=True))
        return ChunkValues(columns, final_values)

    def _batch(self, segment: Segment, i: int, data: Placed | None) -> list[object]:
        if segment.leaves is not None:
            return [
                keras.ops.convert_to_tensor(leaf[i], dtype=dtype)
                for leaf, dtype in zip(segment.leaves, self._dtypes, strict=True)
            ]
        if segment.rows is None or data is None:
            return []
        rows = segment.rows[i]
        return [keras.ops.take(array, rows, axis=0) for array in data.arrays]


def _numpy(value: object) -> np.ndarray:
    # A copy: on some backends NumPy would otherwise see the tensor's own memory.
    return np.array(keras.ops.convert_to_numpy(value))
