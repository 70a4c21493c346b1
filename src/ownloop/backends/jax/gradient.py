"""Gradients on JAX: a tape over a recording trace, and `value_and_grad`.

`JaxTape` touches JAX's internals, and this is the only file that does: a subclass of
`Trace` that runs each primitive in the trace it was opened in, and keeps the
primitive's vector-Jacobian product where an input is watched. It makes no tracers of
its own, so values made inside the block stay valid after it. `value_and_grad` needs
public API only.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import keras
import numpy as np

from ownloop.backends.contract import AbstractTape, Tensor
from ownloop.backends.jax.state import discover_call
from ownloop.backends.scope import Discovery, innermost, listeners
from ownloop.errors import BackendError

try:
    from jax._src.core import Trace, set_current_trace, trace_ctx
except ImportError as error:  # pragma: no cover - a JAX to come
    raise BackendError(
        f"JAX {jax.__version__} has moved the parts that `ownloop.GradientTape` is "
        f"built on ({error}). ownloop is tested with the JAX versions in its "
        "constraints file. Install one of those, or take gradients with "
        "`ownloop.value_and_grad`, which uses public JAX functions only."
    ) from error


class _Record(NamedTuple):
    """One primitive that ran on watched values."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    pullback: Callable[[Any], tuple[Tensor, ...]]


@final
class JaxTape(AbstractTape):
    """Records each primitive that depends on a watched value.

    Inside a compiled step the scope says which variables are read. Eagerly there is
    no scope, and every floating-point value counts as watched.
    """

    def __init__(self, persistent: bool, watch_accessed_variables: bool) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._records: list[_Record] = []
        # Identities are only unique among living objects, so all are kept alive.
        self._watched: dict[int, Tensor] = {}
        self._reads: dict[int, list[Tensor]] = {}
        self._watch_all = False
        self._outer: Trace | None = None

    def start(self) -> None:
        self._watch_all = innermost() is None and self._watch_accessed
        outer = trace_ctx.trace
        self._outer = outer
        trace_ctx.set_trace(_RecordingTrace(outer, self))
        listeners.append(self.note_read)

    def stop(self) -> None:
        trace_ctx.set_trace(self._outer)
        self._outer = None
        listeners.remove(self.note_read)

    def watch(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            if isinstance(tensor, keras.Variable):
                self._note(tensor, tensor.value)
            else:
                self._watched[id(tensor)] = tensor

    def note_read(self, variable: keras.Variable, value: Tensor) -> None:
        """Watches the value of a trainable variable that a step has read."""
        if self._watch_accessed and variable.trainable:
            self._note(variable, value)

    def _note(self, variable: keras.Variable, value: Tensor) -> None:
        if id(value) not in self._watched:
            self._watched[id(value)] = value
            self._reads.setdefault(id(variable), []).append(value)

    def is_watched(self, value: Tensor) -> bool:
        """Whether a primitive on this value must be recorded."""
        if id(value) in self._watched:
            return True
        return self._watch_all and _is_inexact(value)

    def record(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        pullback: Callable[[Any], tuple[Tensor, ...]],
    ) -> None:
        """Keeps one primitive's pullback, and watches what it made."""
        self._records.append(_Record(tuple(inputs), tuple(outputs), pullback))
        for output in outputs:
            if _is_inexact(output):
                self._watched[id(output)] = output

    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        cotangents: dict[int, Tensor] = {}
        for target, seed in zip(targets, output_gradients, strict=True):
            target = _value(target)
            one = jnp.ones_like(target) if seed is None else jnp.asarray(seed)
            _add(cotangents, target, one)
        for inputs, outputs, pullback in reversed(self._records):
            if not any(id(output) in cotangents for output in outputs):
                continue
            given = tuple(_cotangent(cotangents, output) for output in outputs)
            for value, cotangent in zip(inputs, pullback(given), strict=True):
                _add(cotangents, value, cotangent)
        gradients = [self._of_source(cotangents, source) for source in sources]
        if not self._persistent:
            self._records.clear()
        return gradients

    def _of_source(
        self, cotangents: dict[int, Tensor], source: Tensor
    ) -> Tensor | None:
        values = [source]
        if isinstance(source, keras.Variable):
            # A variable that was assigned inside the block has had several values.
            values = self._reads.get(id(source)) or [source.value]
        if not self._records_anything_of(source, values):
            return None
        found = [cotangents[id(v)] for v in values if id(v) in cotangents]
        return sum(found[1:], start=found[0]) if found else None

    def _records_anything_of(self, source: Tensor, values: Sequence[Tensor]) -> bool:
        if isinstance(source, keras.Variable) and not source.trainable:
            return any(id(value) in self._watched for value in values)
        return any(self.is_watched(value) for value in values)


class _RecordingTrace(Trace):
    """Runs primitives in the outer trace and records them on a tape."""

    __slots__ = ("_outer", "_tape")

    def __init__(self, outer: Trace, tape: JaxTape) -> None:
        super().__init__()
        self._outer = outer
        self._tape = tape
        self.requires_low = outer.requires_low  # type: ignore[misc]

    def stage_value(self, val: Any) -> Any:
        return self._outer.stage_value(val)

    def process_primitive(self, primitive: Any, tracers: Any, params: Any, /) -> Any:
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

    def _run(self, primitive: Any, arguments: Sequence[Any], params: Any) -> Any:
        arguments = list(arguments)
        places = [
            i
            for i, value in enumerate(arguments)
            if self._tape.is_watched(value) and _is_inexact(value)
        ]
        with set_current_trace(self._outer):
            if not places:
                return primitive.bind(*arguments, **params)

            def on_watched(*values: Any) -> tuple[Any, ...]:
                full = list(arguments)
                for place, value in zip(places, values, strict=True):
                    full[place] = value
                result = primitive.bind(*full, **params)
                return tuple(result) if primitive.multiple_results else (result,)

            inputs = [arguments[place] for place in places]
            outputs, pullback = jax.vjp(on_watched, *inputs)
            # A primitive may hand back its input object. As an identity on the tape
            # it must be a new one, or the two would share a cotangent.
            taken = {id(value) for value in arguments}
            outputs = [
                jnp.copy(output) if id(output) in taken else output
                for output in outputs
            ]
            self._tape.record(inputs, outputs, pullback)
        return outputs if primitive.multiple_results else outputs[0]


def value_and_grad(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    arguments: tuple[Any, ...],
    has_aux: bool,
) -> tuple[Any, list[Tensor | None]]:
    """Calls a function under `jax.value_and_grad`, its assignments carried out."""
    outer = innermost()
    if outer is None:
        # Variables that the function creates must exist before it is differentiated.
        discover_call(function, arguments)
    written: list[keras.Variable] = []

    def pure(values: list[Tensor]) -> tuple[Tensor, tuple[Any, list[Tensor]]]:
        inner = Discovery() if outer is None else outer.fork()
        for variable, value in zip(variables, values, strict=True):
            inner.state_mapping[id(variable)] = value
        with inner:
            result = function(*arguments)
            written[:] = inner.assigned
            assigned = [variable.value for variable in written]
        loss, aux = result if has_aux else (result, None)
        return loss, (aux, assigned)

    values = [variable.value for variable in variables]
    (loss, (aux, assigned)), gradients = jax.value_and_grad(pure, has_aux=True)(values)
    if outer is None:
        for variable, value in zip(written, assigned, strict=True):
            variable.assign(value)
    else:
        outer.merge(written, assigned)
    return ((loss, aux) if has_aux else loss), gradients


def _is_inexact(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return isinstance(value, float)
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def _value(target: Any) -> Tensor:
    return target.value if isinstance(target, keras.Variable) else target


def _cotangent(cotangents: dict[int, Tensor], output: Tensor) -> Tensor:
    if id(output) in cotangents:
        return cotangents[id(output)]
    if _is_inexact(output):
        return jnp.zeros_like(output)
    return np.zeros(jnp.shape(output), jax.dtypes.float0)


def _add(cotangents: dict[int, Tensor], value: Tensor, cotangent: Tensor) -> None:
    before = cotangents.get(id(value))
    cotangents[id(value)] = cotangent if before is None else before + cotangent
