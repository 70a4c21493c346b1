"""A step's state on JAX: found by one trace, and carried through branches."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras

from ownloop.backends.branches import check_alike
from ownloop.backends.contract import LeafSpec, StepFunction, Tensor
from ownloop.backends.jax.recording import innermost_trace
from ownloop.backends.scope import AbstractScope, Discovery, innermost, stored_dtype


def discover(
    step: StepFunction, batch: Sequence[LeafSpec]
) -> tuple[keras.Variable, ...]:
    """Traces the step once, on shapes alone, and returns the variables it touches.

    The scope is opened around the trace and not inside it: variables that the step
    creates are then initialised when it closes, with real values.
    """
    leaves = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in batch]

    # `eval_shape` remembers functions by identity: a fresh one for each trace.
    def trace(leaves: Sequence[Tensor]) -> None:
        found.settle()
        step(leaves)

    with Discovery(_stand_in, innermost_trace) as found:
        jax.eval_shape(trace, leaves)
    return found.variables


def discover_call(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[keras.Variable, ...]:
    """Traces a call, so that its variables exist; returns those it touches."""

    def trace() -> None:
        found.settle()
        function(*arguments)

    with Discovery(_stand_in, innermost_trace) as found:
        jax.eval_shape(trace)
    return found.variables


def _stand_in(variable: keras.Variable) -> Tensor:
    # Zeros with an identity of their own: a variable that does not exist yet would
    # otherwise be another tensor at each read, which no tape could follow. Computed
    # now, since the first read may be in a branch, whose tracers must not leave it.
    with jax.ensure_compile_time_eval():
        return jnp.zeros(variable.shape, stored_dtype(variable))


def store(variable: keras.Variable, value: Tensor) -> None:
    """Gives a variable a value that has its shape and its stored dtype already.

    The public `variable.assign` converts it first, and looks for scopes: 1.5
    microseconds instead of 0.1, for each variable and each look of the user's.
    """
    variable._direct_assign(value)


def cond(
    pred: Tensor,
    then: Callable[[], Any],
    otherwise: Callable[[], Any],
    *,
    check: Callable[[Any, Any], None] = check_alike,
) -> Any:
    """Runs one of two branches; what they assign is carried out of the branch.

    `check` refuses results that JAX could not choose from.
    """
    if not isinstance(pred, jax.core.Tracer):
        return then() if bool(pred) else otherwise()
    scope = innermost()
    branches = (then, otherwise)
    if scope is None:
        return jax.lax.cond(pred, *branches)
    written: dict[int, keras.Variable] = {}
    results = []
    for branch in branches:
        assigned, result = _survey(scope, branch)
        written.update((id(variable), variable) for variable in assigned)
        results.append(result)
    check(*results)
    variables = tuple(written.values())

    def in_fork(branch: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            with scope.fork():
                result = branch()
                return result, [variable.value for variable in variables]

        return run

    result, values = jax.lax.cond(pred, *(in_fork(branch) for branch in branches))
    scope.merge(variables, values)
    return result


def _survey(
    scope: AbstractScope, branch: Callable[[], Any]
) -> tuple[tuple[keras.Variable, ...], Any]:
    """Returns what a branch assigns, and what it returns, by shape alone."""
    assigned: list[keras.Variable] = []

    def trace() -> Any:
        with scope.fork() as fork:
            result = branch()
        assigned.extend(fork.assigned)
        return result

    result = jax.eval_shape(trace)
    return tuple(assigned), result
