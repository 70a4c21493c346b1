"""A step on JAX becomes one XLA program that advances the state by n steps.

Two programs exist. The fused loop runs n steps inside one `fori_loop`, n being an
argument. Step by step is one compiled step that the host calls n times. XLA on the
CPU runs convolutions inside a loop several times slower than outside, so a fixed rule
on what the step contains decides, never a stopwatch: one run uses one kind of program
for all its steps, and the bits cannot depend on luck.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.extend
import jax.numpy as jnp
import keras
import numpy as np

from ownloop.backends.contract import (
    FUSED,
    STEPWISE,
    AbstractProgram,
    ChunkValues,
    LeafSpec,
    Placed,
    Segment,
    StepFunction,
    Tensor,
    choose_capacity,
)
from ownloop.backends.jax.finite import are_finite
from ownloop.backends.jax.place import BlockRoom
from ownloop.backends.jax.recording import innermost_trace
from ownloop.backends.jax.state import store
from ownloop.backends.scope import Carried, stored_dtype, stored_values
from ownloop.cache import WORTH_KEEPING_SECONDS, compiled_folder

Carry = tuple[list[Tensor], list[Tensor], list[Tensor]]
"""The state; a buffer per scalar with an entry per step; the final tensors."""

_SLOW_IN_A_LOOP_ON_CPU = ("conv_general_dilated",)

_MANY_STEPS = 128
"""A step updates its state, so a copy for so many costs less than 1 % of them."""

_NUMBER = jax.ShapeDtypeStruct((), np.int32)

_OPTIONS_ON_CPU = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""Spares XLA the copies of weights in each turn of the loop, and changes no number."""


def keep_compilations() -> None:
    """Lets JAX keep what it compiles for the next run, where nobody has said how.

    Source: JAX, "Persistent compilation cache",
    https://docs.jax.dev/en/latest/persistent_compilation_cache.html
    """
    if jax.config.jax_compilation_cache_dir is None:
        seconds = WORTH_KEEPING_SECONDS
        jax.config.update("jax_compilation_cache_dir", str(compiled_folder("jax")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


@final
class JaxProgram(AbstractProgram):
    """One step compiled for batches of one shape."""

    def __init__(
        self,
        step: StepFunction,
        variables: Sequence[keras.Variable],
        batch: Sequence[LeafSpec],
    ) -> None:
        self.variables = tuple(variables)
        self.capacity = capacity = choose_capacity(batch)
        self._blocks = BlockRoom(batch, self.capacity)
        traced = _trace(step, self.variables, batch)
        slow = _slow_primitive(traced.jaxpr)
        self.kind = STEPWISE if slow else FUSED
        self.reason = f"XLA on the CPU is slow at {slow} inside a loop" if slow else ""
        self._donates = bool(slow) or not _keeps_its_arguments(self.capacity)
        build = _stepwise if slow else _fused
        self._advance: Callable[..., Any] = build(
            traced, batch, self.capacity, donate=self._donates
        )
        # Not of `self`: JAX would keep this program, and the model, for a while.
        self._outputs = jax.jit(lambda: _empty(traced, capacity))

    def run(self, segments: Iterable[Segment], data: Placed | None) -> ChunkValues:
        state = stored_values(self.variables)
        if self._donates:
            # The program destroys the state that it is given: not the user's arrays.
            state = _copy(state)
        results: list[tuple[list[Tensor], int]] = []
        final_values: list[Tensor] = []
        finite: Tensor | None = None
        for segment in segments:
            block = self._blocks.fill(segment, data)
            (state, every, final_values), finite = self._run_block(
                state, block, segment.count
            )
            results.append((every, segment.count))
            if len(results) > 1:
                # At most two blocks are under way, which bounds the memory they take.
                jax.block_until_ready(results[-2][0])
        for variable, value in zip(self.variables, state, strict=True):
            store(variable, value)
        return _fetch(results, final_values, finite)

    def _run_block(
        self, state: list[Tensor], block: list[Tensor], count: int
    ) -> tuple[Carry, Tensor | None]:
        if self.kind == FUSED:
            carry, finite = self._advance(state, block, np.int32(count))
            return carry, finite
        carry = (state, *self._outputs())
        for i in range(count):
            carry = self._advance(carry, block, np.int32(i))
        return carry, None


@final
@dataclass(frozen=True)
class _Traced:
    """One step as a jaxpr: state and leaves in; state, every and final out."""

    jaxpr: jax.extend.core.ClosedJaxpr
    states: tuple[jax.ShapeDtypeStruct, ...]
    every: tuple[jax.ShapeDtypeStruct, ...]
    final: tuple[jax.ShapeDtypeStruct, ...]


def _trace(
    step: StepFunction,
    variables: Sequence[keras.Variable],
    batch: Sequence[LeafSpec],
) -> _Traced:
    """Traces the user's step once, with its state as arguments and results."""
    states = [jax.ShapeDtypeStruct(v.shape, stored_dtype(v)) for v in variables]
    leaves = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in batch]

    def advance(state: list[Tensor], leaves: list[Tensor]) -> Carry:
        with Carried(variables, state, innermost_trace) as scope:
            values = step(leaves)
            new = [
                # Not `asarray`: a loop must carry the same dtype, never a weak one.
                jax.lax.convert_element_type(value, spec.dtype)
                for value, spec in zip(scope.values(), states, strict=True)
            ]
        every = [jnp.asarray(_strong(value)) for value in values.every]
        return new, every, [_strong(value) for value in values.final]

    jaxpr, shapes = jax.make_jaxpr(advance, return_shape=True)(states, leaves)
    _, every, final_values = shapes
    return _Traced(jaxpr, tuple(states), tuple(every), tuple(final_values))


def _strong(value: Tensor) -> Tensor:
    value = jnp.asarray(value)
    return jax.lax.convert_element_type(value, value.dtype)


def _fused(
    traced: _Traced, batch: Sequence[LeafSpec], capacity: int, *, donate: bool
) -> Callable[[list[Tensor], list[Tensor], Any], tuple[Carry, Tensor | None]]:
    """Compiles state, block and a count of steps -> carry, and what of it is finite."""
    step = _at_a_place(traced)

    def advance(
        state: list[Tensor], block: list[Tensor], count: Tensor
    ) -> tuple[Carry, Tensor | None]:
        carry = (state, *_empty(traced, capacity))
        carry = jax.lax.fori_loop(0, count, lambda i, c: step(c, block, i), carry)
        return carry, are_finite(carry[0]) if state else None

    compiled = jax.jit(advance, donate_argnums=0 if donate else ())
    specs = list(traced.states), _block(batch, capacity), _NUMBER
    return _finish(compiled.lower(*specs))


def _stepwise(
    traced: _Traced, batch: Sequence[LeafSpec], capacity: int, *, donate: bool
) -> Callable[[Carry, list[Tensor], Any], Carry]:
    """Compiles carry, block and the place of a batch in it -> carry."""
    compiled = jax.jit(_at_a_place(traced), donate_argnums=0 if donate else ())
    outputs = jax.eval_shape(lambda: _empty(traced, capacity))
    specs = (list(traced.states), *outputs), _block(batch, capacity), _NUMBER
    return _finish(compiled.lower(*specs))


def _at_a_place(traced: _Traced) -> Callable[[Carry, list[Tensor], Tensor], Carry]:
    """Returns the step on the batch at a place in a block."""
    step = jax.extend.core.jaxpr_as_fun(traced.jaxpr)
    cuts = (len(traced.states), len(traced.states) + len(traced.every))

    def advance(carry: Carry, block: list[Tensor], i: Tensor) -> Carry:
        state, every, _ = carry
        leaves = [jax.lax.dynamic_index_in_dim(b, i, keepdims=False) for b in block]
        results = step(*state, *leaves)
        now = results[cuts[0] : cuts[1]]
        every = [
            jax.lax.dynamic_update_index_in_dim(buffer, value, i, 0)
            for buffer, value in zip(every, now, strict=True)
        ]
        return list(results[: cuts[0]]), every, list(results[cuts[1] :])

    return advance


def _block(batch: Sequence[LeafSpec], capacity: int) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct((capacity, *b.shape), b.dtype) for b in batch]


def _finish(lowered: Any) -> Callable[..., Any]:
    if jax.default_backend() == "cpu":
        # A release of XLA that does not know the options refuses them.
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            return lowered.compile(compiler_options=_OPTIONS_ON_CPU)
    return lowered.compile()


def _empty(traced: _Traced, capacity: int) -> tuple[list[Tensor], list[Tensor]]:
    every = [jnp.zeros((capacity, *v.shape), v.dtype) for v in traced.every]
    return every, [jnp.zeros(v.shape, v.dtype) for v in traced.final]


@jax.jit
def _copy(state: list[Tensor]) -> list[Tensor]:
    return [jnp.copy(value) for value in state]


def _keeps_its_arguments(capacity: int) -> bool:
    """Returns whether the loop is to leave the state that it is given as it was.

    It then begins by copying it, for each block. On the CPU that is cheaper than a
    copy before the chunk's first block, and among the many steps of a large block it
    does not count. Elsewhere memory is dearer than the copy for each chunk.
    """
    return jax.default_backend() == "cpu" and capacity >= _MANY_STEPS


def _slow_primitive(jaxpr: jax.extend.core.ClosedJaxpr) -> str | None:
    """Returns the name of a primitive that XLA runs slowly in a loop on this device."""
    if jax.default_backend() != "cpu":
        return None
    for name in _primitives(jaxpr.jaxpr):
        if name in _SLOW_IN_A_LOOP_ON_CPU:
            return name
    return None


def _primitives(jaxpr: Any) -> Iterator[str]:
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _primitives(inner)


def _fetch(
    results: Sequence[tuple[list[Tensor], int]],
    final_values: Sequence[Tensor],
    finite: Tensor | None,
) -> ChunkValues:
    fetched = [
        [np.asarray(buffer)[:count] for buffer in every] for every, count in results
    ]
    every = tuple(np.concatenate(column) for column in zip(*fetched, strict=True))
    return ChunkValues(
        every,
        tuple(np.array(value) for value in final_values),
        None if finite is None else np.asarray(finite),
    )
