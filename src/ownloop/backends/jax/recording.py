"""What a tape has recorded on JAX: a trace that keeps each primitive's pullback.

This is the only file that touches JAX's internals: a subclass of `Trace` that runs each
primitive in the trace it was opened in, and keeps the primitive's vector-Jacobian
product where an input is watched. It makes no tracers of its own, so values made inside
the block stay valid after it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr, Var, jaxpr_as_fun
from jax.extend.core.primitives import jit_p

from ownloop.backends.contract import AbstractTape, Tensor
from ownloop.errors import BackendError, TapeError

try:
    from jax._src.core import Trace, set_current_trace, trace_ctx
except ImportError as error:  # pragma: no cover - a JAX to come
    raise BackendError(
        f"JAX {jax.__version__} has moved the parts that `ownloop.GradientTape` is "
        f"built on ({error}). ownloop is tested with the JAX versions in its "
        "constraints file. Install one of those, or take gradients with "
        "`ownloop.value_and_grad`, which uses public JAX functions only."
    ) from error


_WITHOUT_SLOPE = frozenset({"stop_gradient", "round", "floor", "ceil"})
"""Primitives whose results are constants to a tape, as they are on TensorFlow."""


class _Record(NamedTuple):
    """One primitive that ran on watched values."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    pullback: Callable[[Any], tuple[Tensor, ...]]


@final
class JaxTape(AbstractTape):
    """Records each primitive that depends on a watched value.

    A value is known by its identity as a Python object. So that no two meanings share
    one object, a variable's value that the tape knows as something else already (a
    watched tensor, an output, or the value of another variable) is served as a copy.
    """

    def __init__(self, watch_accessed_variables: bool) -> None:
        self._watch_accessed = watch_accessed_variables
        self._records: list[_Record] = []
        self._trace: _RecordingTrace | None = None
        # Identities are only unique among living objects, so all are kept alive.
        self._watched: dict[int, Tensor] = {}
        self._watched_variables: dict[int, keras.Variable] = {}
        self._owners: dict[int, tuple[keras.Variable, Tensor]] = {}
        self._reads: dict[int, dict[int, Tensor]] = {}
        self._copies: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def start(self) -> None:
        self._trace = _RecordingTrace(trace_ctx.trace, self)
        trace_ctx.set_trace(self._trace)

    def stop(self) -> None:
        if self._trace is not None:
            self._trace.recording = False
            self._trace = None
        # A tape that was opened later may still be on top; it takes this one along.
        while (
            isinstance(trace_ctx.trace, _RecordingTrace)
            and not trace_ctx.trace.recording
        ):
            trace_ctx.set_trace(trace_ctx.trace.outer)

    def watch(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            if isinstance(tensor, keras.Variable):
                self._watched_variables[id(tensor)] = tensor
            else:
                self._watched[id(tensor)] = tensor

    def read(self, variable: keras.Variable, value: Tensor) -> Tensor:
        owner, _ = self._owners.get(id(value), (None, value))
        if owner is not variable and (owner is not None or id(value) in self._watched):
            value = self._copy_for(variable, value)
        self._owners[id(value)] = (variable, value)
        watched = id(variable) in self._watched_variables or (
            self._watch_accessed and variable.trainable
        )
        reads = self._reads.setdefault(id(variable), {})
        if watched and id(value) not in reads:
            self._watched[id(value)] = reads[id(value)] = value
        return value

    def _copy_for(self, variable: keras.Variable, value: Tensor) -> Tensor:
        assert self._trace is not None  # reads are told of while recording
        key = (id(variable), id(value))
        if key not in self._copies:
            with set_current_trace(self._trace.outer):
                self._copies[key] = (value, jnp.copy(value))
        return self._copies[key][1]

    def is_watched(self, value: Tensor) -> bool:
        """Whether a primitive on this value must be recorded."""
        return id(value) in self._watched and _is_inexact(value)

    def record(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        pullback: Callable[[Any], tuple[Tensor, ...]],
    ) -> None:
        """Keeps one primitive's pullback."""
        self._records.append(_Record(tuple(inputs), tuple(outputs), pullback))

    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        cotangents: dict[int, Tensor] = {}
        for target, seed in zip(targets, output_gradients, strict=True):
            if not _is_inexact(target):
                continue
            value = target.value if isinstance(target, keras.Variable) else target
            one = jnp.ones_like(value) if seed is None else jnp.asarray(seed)
            _add(cotangents, target, _conjugate(one))
        # A persistent tape that still records takes its own gradients down.
        for inputs, outputs, pullback in reversed(tuple(self._records)):
            if not any(self._carries(cotangents, output) for output in outputs):
                continue
            given = [_cotangent(cotangents, output) for output in outputs]
            for value, cotangent in zip(inputs, _pull(pullback, given), strict=True):
                _add(cotangents, value, cotangent)
        return [self._of_source(cotangents, source) for source in sources]

    def rows(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        seeds: Tensor,
        *,
        vectorized: bool,
    ) -> list[Tensor | None]:
        return self.map_rows(
            target,
            sources,
            lambda row: jax.vmap(row)(seeds) if vectorized else jax.lax.map(row, seeds),
        )

    def _carries(self, cotangents: dict[int, Tensor], output: Tensor) -> bool:
        return id(output) in cotangents and id(output) in self._watched

    def _of_source(
        self, cotangents: dict[int, Tensor], source: Tensor
    ) -> Tensor | None:
        # A variable that was assigned inside the block has had several values.
        places = [id(source), *self._reads.get(id(source), ())]
        found = [cotangents[place] for place in places if place in cotangents]
        return _conjugate(sum(found[1:], start=found[0])) if found else None


@final
class _RecordingTrace(Trace):
    """Runs primitives in the outer trace and records them on a tape."""

    __slots__ = ("_tape", "outer", "recording")

    def __init__(self, outer: Trace, tape: JaxTape) -> None:
        super().__init__()
        self.outer = outer
        self.recording = True
        self._tape = tape
        self.requires_low = outer.requires_low  # type: ignore[misc]

    def stage_value(self, val: Any) -> Any:
        return self.outer.stage_value(val)

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
        if primitive is jit_p and self._holds_watched(params["jaxpr"]):
            # A jitted function has a watched value as a constant inside: unfold it.
            with set_current_trace(self):
                return jaxpr_as_fun(params["jaxpr"])(*tracers)
        return self._run(primitive, tracers, params)

    def process_call(self, primitive: Any, f: Any, tracers: Any, params: Any, /) -> Any:
        return self._run(primitive, tracers, {**params, "subfuns": (f,)})

    def process_custom_jvp_call(
        self, primitive: Any, fun: Any, jvp: Any, tracers: Any, /, **params: Any
    ) -> Any:
        return self._run(primitive, tracers, {**params, "subfuns": (fun, jvp)})

    def process_custom_vjp_call(
        self,
        primitive: Any,
        fun: Any,
        fwd: Any,
        bwd: Any,
        tracers: Any,
        /,
        **params: Any,
    ) -> Any:
        return self._run(primitive, tracers, {**params, "subfuns": (fun, fwd, bwd)})

    def _holds_watched(self, function: ClosedJaxpr) -> bool:
        return self.recording and any(map(self._tape.is_watched, function.consts))

    def _run(self, primitive: Any, arguments: Sequence[Any], params: Any) -> Any:
        arguments = list(arguments)
        watched = self._tape.is_watched if self.recording else lambda _: False
        places = [i for i, value in enumerate(arguments) if watched(value)]
        with set_current_trace(self.outer):
            if not places:
                return primitive.bind(*arguments, **params)

            def on_watched(*values: Any) -> tuple[Any, ...]:
                full = list(arguments)
                for place, value in zip(places, values, strict=True):
                    full[place] = value
                result = primitive.bind(*full, **params)
                return tuple(result) if primitive.multiple_results else (result,)

            inputs = [arguments[place] for place in places]
            if primitive.name in _WITHOUT_SLOPE:
                outputs = _renewed(on_watched(*inputs), arguments)
            else:
                results, pullback = jax.vjp(on_watched, *inputs)
                outputs = _renewed(results, arguments)
                dependent = _dependent(primitive, params, places, outputs)
                if dependent:
                    self._tape.record(inputs, outputs, pullback)
                    self._tape.watch(dependent)
        return outputs if primitive.multiple_results else outputs[0]


def _renewed(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Returns outputs that are no objects of the inputs.

    A primitive may hand back its input. As an identity on the tape it must be a new
    one, or the two would share a cotangent.
    """
    taken = {id(value) for value in inputs}
    return [jnp.copy(value) if id(value) in taken else value for value in outputs]


def _dependent(
    primitive: Any, params: Any, places: Sequence[int], outputs: Sequence[Tensor]
) -> list[Tensor]:
    """Returns those of the outputs that depend on the inputs at these places.

    A jitted function may return others as well: when its derivative is prepared, the
    constants that it needs come out of it.
    """
    if primitive is not jit_p:
        return list(outputs)
    given = [i in places for i in range(len(params["jaxpr"].jaxpr.invars))]
    reached = _reached(params["jaxpr"].jaxpr, given)
    return [value for value, is_so in zip(outputs, reached, strict=True) if is_so]


def _reached(jaxpr: Any, given: Sequence[bool]) -> list[bool]:
    """Returns which results depend on the arguments that are marked."""
    reached = {v for v, is_so in zip(jaxpr.invars, given, strict=True) if is_so}

    def marks(variables: Sequence[Any]) -> list[bool]:
        return [isinstance(v, Var) and v in reached for v in variables]

    for equation in jaxpr.eqns:
        marked = marks(equation.invars)
        if equation.primitive is jit_p:
            results = _reached(equation.params["jaxpr"].jaxpr, marked)
        else:
            has_slope = equation.primitive.name not in _WITHOUT_SLOPE
            results = [has_slope and any(marked)] * len(equation.outvars)
        reached.update(
            v for v, is_so in zip(equation.outvars, results, strict=True) if is_so
        )
    return marks(jaxpr.outvars)


def innermost_trace() -> Trace:
    """Returns the trace that the code runs in, leaving tapes aside."""
    trace = trace_ctx.trace
    while isinstance(trace, _RecordingTrace):
        trace = trace.outer
    return trace


def _pull(
    pullback: Callable[[Any], tuple[Tensor, ...]], cotangents: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    try:
        return pullback(tuple(cotangents))
    except ValueError as error:
        if "Reverse-mode differentiation does not work" not in str(error):
            raise
        raise TapeError(
            "The target depends on a `while_loop` whose number of turns is found while "
            "it runs. JAX cannot differentiate such a loop backwards, because it would "
            "have to keep an unknown number of values. Use `keras.ops.scan`, or "
            "`keras.ops.fori_loop` with Python integers as bounds; or, where no "
            "gradient is meant to flow, wrap the loop's inputs in "
            "`keras.ops.stop_gradient`."
        ) from error


def _is_inexact(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jnp.inexact))


def _conjugate(value: Tensor) -> Tensor:
    """Turns JAX's gradient of a complex value into that of the other frameworks."""
    return jnp.conj(value) if jnp.iscomplexobj(value) else value


def _cotangent(cotangents: dict[int, Tensor], output: Tensor) -> Tensor:
    if id(output) in cotangents:
        return cotangents[id(output)]
    if _is_inexact(output):
        return jnp.zeros_like(output)
    return np.zeros(jnp.shape(output), jax.dtypes.float0)


def _add(cotangents: dict[int, Tensor], value: Tensor, cotangent: Tensor) -> None:
    before = cotangents.get(id(value))
    cotangents[id(value)] = cotangent if before is None else before + cotangent
