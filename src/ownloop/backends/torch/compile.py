"""A step on PyTorch becomes one compiled graph that the host calls once per batch.

The graph works in place on the memory of the Keras variables, so there is nothing to
write back. What it cannot hold is run eagerly, with the reason.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, final

import keras
import numpy as np
import torch

from ownloop import machine
from ownloop.backends.contract import (
    STEPWISE,
    AbstractProgram,
    ChunkValues,
    LeafSpec,
    Placed,
    Segment,
    StepFunction,
    StepValues,
    Tensor,
    choose_capacity,
)
from ownloop.backends.eager import EagerProgram
from ownloop.backends.torch import inductor, place, state, tracing
from ownloop.backends.torch.graphs import CannotTrace, PastKeras
from ownloop.backends.torch.rehearsal import rehearse, rehearse_natively
from ownloop.errors import StepError

_ONE_AT_A_TIME: Final = threading.RLock()
"""Held while a graph is made: PyTorch sets options, and wraps `nn.Module`, for all."""


def compile_step(
    step: StepFunction, batch: Sequence[LeafSpec], *, eager: bool
) -> AbstractProgram:
    """Returns a compiled program if the step can be one, else an eager one."""
    batch = [place.canonical(leaf) for leaf in batch]
    if eager:
        return EagerProgram(_to_host(step), (), batch, "compile=False")
    variables = rehearse(step, batch)
    reason = _obstacle(variables)
    if not reason:
        try:
            with _ONE_AT_A_TIME:
                graph = tracing.trace(step, variables, batch)
                return TorchProgram(graph, variables, batch)
        except StepError:
            raise
        except (Exception, CannotTrace) as error:
            if isinstance(error, PastKeras):
                variables = rehearse_natively(step, batch)
            # The rehearsal went well, so this is no exception of the user's.
            reason = f"{tracing.reason_of(error)}{tracing.place_of(error)}"
            reason = f"PyTorch cannot compile this step: {reason}"
    return EagerProgram(_to_host(step), variables, batch, reason)


def _obstacle(variables: Sequence[keras.Variable]) -> str:
    if machine.compiler() is None:
        return "there is no C++ compiler (install g++, or name one in CXX)"
    places = [v.value.data_ptr() for v in variables if v.value.numel()]
    if len(set(places)) < len(places):
        return "two of its variables share their memory"
    return ""


def _to_host(step: StepFunction) -> StepFunction:
    def run(leaves: Sequence[Tensor]) -> StepValues:
        with torch.no_grad():
            values = step(leaves)
        return StepValues(
            tuple(place.to_host(value) for value in values.every),
            tuple(place.to_host(value) for value in values.final),
        )

    return run


@final
class TorchProgram(AbstractProgram):
    """One step compiled for batches of one shape."""

    def __init__(
        self,
        graph: tracing.Graph,
        variables: Sequence[keras.Variable],
        batch: Sequence[LeafSpec],
    ) -> None:
        self.variables = tuple(variables)
        self.kind = STEPWISE
        self.reason = ""
        self.capacity = choose_capacity(batch)
        self._every = graph.every
        self._call = inductor.build(graph)
        self._borrowed: frozenset[int] | None = None

    def run(self, segments: Iterable[Segment], data: Placed | None) -> ChunkValues:
        now = state.memory(self.variables)
        columns: list[list[np.ndarray]] = [[] for _ in range(self._every)]
        call, every, borrowed = self._call, self._every, self._borrowed
        last: Sequence[Tensor] = ()
        with torch.no_grad():
            for segment in segments:
                results = []
                for leaves in _batches(segment, data):
                    last = call(*now, *leaves)
                    if borrowed is None:
                        borrowed = self._borrowed = _borrowed(last[:every], now)
                    results.append(_kept(last[:every], borrowed))
                for i in range(every):
                    column = torch.stack([values[i] for values in results])
                    columns[i].append(place.to_host(column))
        return ChunkValues(
            tuple(np.concatenate(column) for column in columns),
            tuple(place.to_host(value) for value in last[every:]),
        )


def _borrowed(values: Sequence[Tensor], now: Sequence[Tensor]) -> frozenset[int]:
    """Returns which values of a step lie in the memory of a variable.

    Inductor leaves out the copy of a result that a variable has as its new value, and
    hands out the variable's memory. It is decided when the graph is compiled, and the
    same in each step.
    """
    memory = {value.untyped_storage().data_ptr() for value in now}
    return frozenset(
        i
        for i, value in enumerate(values)
        if value.untyped_storage().data_ptr() in memory
    )


def _kept(values: Sequence[Tensor], borrowed: frozenset[int]) -> Sequence[Tensor]:
    """Returns the values of a step, safe against the next step."""
    if not borrowed:
        return values
    return [v.clone() if i in borrowed else v for i, v in enumerate(values)]


def _batches(segment: Segment, data: Placed | None) -> Iterator[Sequence[Tensor]]:
    """Yields the leaves of each batch."""
    if segment.leaves is not None:
        stacked = [place.to_device(leaf) for leaf in segment.leaves]
        for i in range(segment.count):
            yield [leaf[i] for leaf in stacked]
    elif segment.rows is not None and data is not None:
        for rows in place.row_numbers(segment.rows):
            yield [array.index_select(0, rows) for array in data.arrays]
    else:
        for _ in range(segment.count):
            yield ()
