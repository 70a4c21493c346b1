"""`value_and_grad`: the gradient of a function, on public framework API only."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from ownloop import backends


def value_and_grad(
    function: Callable[..., Any], variables: Any, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Returns a function that gives the value and the gradients of another.

    The sibling of `GradientTape` for people who think in functions. What `function`
    assigns (metrics, moving averages, seeds) is assigned, once.

    Args:
        function: Takes any arguments, and returns a scalar loss, or a pair of a loss
            and anything else if `has_aux`.
        variables: The `keras.Variable`s to differentiate for, in any structure.
        has_aux: Whether `function` returns a pair.

    Returns:
        A function of the same arguments, keyword arguments included, that returns
        `(value, gradients)`, where value is what `function` returned, and gradients has
        the structure of `variables` and their shapes; zeros where the loss does not
        depend on one.

    Example:
        >>> import keras
        >>> import ownloop as ol
        >>> w = keras.Variable(3.0)
        >>> square = ol.value_and_grad(lambda x: x * w * w, w)
        >>> value, gradient = square(2.0)
        >>> float(keras.ops.stop_gradient(value)), float(gradient)
        (18.0, 12.0)

    Reference: https://docs.jax.dev/en/latest/_autosummary/jax.value_and_grad.html
    """

    def differentiated(*arguments: Any, **options: Any) -> tuple[Any, Any]:
        flat = keras.tree.flatten(variables)
        call = functools.partial(function, **options)
        value, gradients = backends.current().value_and_grad(
            call, flat, arguments, has_aux=has_aux
        )
        gradients = [
            keras.ops.zeros(v.shape, v.dtype) if gradient is None else gradient
            for v, gradient in zip(flat, gradients, strict=True)
        ]
        return value, keras.tree.pack_sequence_as(variables, gradients)

    return differentiated
