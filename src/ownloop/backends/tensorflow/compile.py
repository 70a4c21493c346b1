"""A step on TensorFlow becomes one `tf.function` that advances n steps.

The whole chunk is compiled by XLA as one program with a loop in it; n is an argument.
Three kinds of steps run as a loop in TensorFlow's own graph instead: those that XLA
cannot compile; on the CPU, those with convolutions, which XLA runs several times
slower inside a loop; and those that draw random numbers, because XLA draws others from
the same seed. The rule looks at what the step contains, never at a clock.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
import tensorflow as tf

from ownloop.backends.contract import (
    FUSED,
    AbstractProgram,
    ChunkValues,
    LeafSpec,
    Placed,
    Segment,
    StepFunction,
    Tensor,
    choose_capacity,
)
from ownloop.backends.scope import stored_value, surprise
from ownloop.backends.tensorflow.finite import are_finite
from ownloop.backends.tensorflow.place import BlockRoom
from ownloop.backends.tensorflow.state import Found

_SLOW_IN_A_LOOP_ON_CPU = frozenset(
    {"Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput"}
)


@final
class TensorFlowProgram(AbstractProgram):
    """One step compiled for batches of one shape."""

    def __init__(
        self, step: StepFunction, found: Found, batch: Sequence[LeafSpec]
    ) -> None:
        self.variables = found.variables
        self.capacity = choose_capacity(batch)
        self.kind = FUSED
        self._blocks = BlockRoom(batch, self.capacity)
        self._advance, self.reason = _compile(step, found, batch, self.capacity)

    def run(self, segments: Iterable[Segment], data: Placed | None) -> ChunkValues:
        results: list[tuple[list[Tensor], int]] = []
        final_values: list[Tensor] = []
        finite: Tensor | None = None
        for segment in segments:
            block = self._blocks.fill(segment, data)
            count = tf.constant(segment.count)
            every, final_values, *flags = self._advance(count, *block)
            finite = flags[0] if flags else None
            results.append((every, segment.count))
        fetched = [[b.numpy()[:count] for b in every] for every, count in results]
        columns = tuple(np.concatenate(column) for column in zip(*fetched, strict=True))
        return ChunkValues(
            columns,
            tuple(np.array(v) for v in final_values),
            None if finite is None else finite.numpy(),
        )


def _compile(
    step: StepFunction, found: Found, batch: Sequence[LeafSpec], capacity: int
) -> tuple[Callable[..., Any], str]:
    """Returns the program, and the reason where it is not compiled by XLA."""
    reason = _reason_against_xla(found)
    if not reason:
        try:
            return _build(step, found, batch, capacity, jit_compile=True), ""
        except tf.errors.OpError as error:
            reason = f"without XLA, which cannot compile it: {_first_line(error)}"
    return _build(step, found, batch, capacity, jit_compile=False), reason


def _reason_against_xla(found: Found) -> str:
    """Returns why the step runs in TensorFlow's own graph; empty if XLA may have it."""
    slow = sorted(found.operations & _SLOW_IN_A_LOOP_ON_CPU)
    if slow and not tf.config.list_logical_devices("GPU"):
        return f"without XLA, which is slow at {slow[0]} inside a loop on the CPU"
    random = sorted(name for name in found.operations if _draws(name))
    if not random:
        return ""
    reason = (
        "without XLA, which would draw other random numbers for dropout and the like "
        f"({random[0]})"
    )
    own = [name for name in random if not name.startswith("Stateless")]
    if own:
        reason += (
            f"; {own[0]} has a state of its own, which no checkpoint has: a run that "
            "is continued draws otherwise there, by `keras.random` it would not"
        )
    return reason


def _draws(operation: str) -> bool:
    words = ("Random", "TruncatedNormal", "Multinomial", "Shuffle", "RngReadAndSkip")
    return any(word in operation for word in words)


def _build(
    step: StepFunction,
    found: Found,
    batch: Sequence[LeafSpec],
    capacity: int,
    *,
    jit_compile: bool,
) -> Callable[..., Any]:
    def advance(count: Tensor, *block: Tensor) -> tuple[Any, ...]:
        every = [tf.zeros((capacity, *spec.shape), spec.dtype) for spec in found.every]
        final_values = [tf.zeros(spec.shape, spec.dtype) for spec in found.final]

        def one(i: Tensor, every: Any, _: Any) -> tuple[Tensor, Any, Any]:
            values = step([leaf[i] for leaf in block])
            kept = [
                tf.tensor_scatter_nd_update(buffer, [[i]], [value])
                for buffer, value in zip(every, values.every, strict=True)
            ]
            return i + 1, kept, list(values.final)

        _, every, final_values = tf.while_loop(
            lambda i, *_: i < count,
            one,
            (tf.constant(0), every, final_values),
            # One step must end before the next begins, also outside XLA.
            parallel_iterations=1,
        )
        state = [stored_value(variable) for variable in found.variables]
        if not state:
            return every, final_values
        return every, final_values, are_finite(state, in_xla=jit_compile)

    blocks = [tf.TensorSpec((capacity, *leaf.shape), leaf.dtype) for leaf in batch]
    program = tf.function(advance, autograph=False, jit_compile=jit_compile)
    concrete = program.get_concrete_function(tf.TensorSpec((), tf.int32), *blocks)
    for variable in concrete.variables:
        if id(variable) not in found.stored:
            raise surprise(variable.name)
    # No step at all: XLA compiles now, and the variables keep their values.
    concrete(tf.constant(0), *(tf.zeros(spec.shape, spec.dtype) for spec in blocks))
    return concrete


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", str(error)).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
