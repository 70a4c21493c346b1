"""`value_and_grad` on JAX, by public functions only. The tape is in `recording`."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras

from ownloop.backends.contract import Tensor
from ownloop.backends.jax.recording import innermost_trace
from ownloop.backends.jax.state import discover_call
from ownloop.backends.scope import Discovery, innermost


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
        inner = Discovery(locate=innermost_trace) if outer is None else outer.fork()
        for variable, value in zip(variables, values, strict=True):
            inner.state_mapping[id(variable)] = value
        inner.renew = _assigned_in(variables, values)
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


def _assigned_in(
    variables: Sequence[keras.Variable], values: Sequence[Tensor]
) -> Callable[[keras.Variable, Tensor], Tensor]:
    """Returns what an assignment inside the function means to its gradients.

    No gradient flows through an assignment: the new value is a constant. If gradients
    for the variable are wanted, what depends on the new value depends on the variable.
    """
    differentiated = {
        id(variable): value for variable, value in zip(variables, values, strict=True)
    }

    def renew(variable: keras.Variable, value: Tensor) -> Tensor:
        if id(variable) in differentiated:
            return _instead(differentiated[id(variable)], value)
        return jax.lax.stop_gradient(value)

    return renew


@jax.custom_jvp
def _instead(old: Tensor, new: Tensor) -> Tensor:
    """Returns `new`, with the derivative of `old`."""
    return new


@_instead.defjvp
def _instead_jvp(
    primals: tuple[Tensor, Tensor], tangents: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    return primals[1], tangents[0]
