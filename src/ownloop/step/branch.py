"""`cond`: a branch in a step that may change state, on every backend."""

from collections.abc import Callable
from typing import Any

from ownloop import backends


def cond(
    pred: Any,
    then: Callable[[], Any],
    otherwise: Callable[[], Any] | None = None,
) -> Any:
    """Runs `then` where `pred` is true, else `otherwise`; both may assign variables.

    `keras.ops.cond` carries what its branches return and not what they assign, and on
    JAX an assignment inside it leaks a tracer. Here the variables that a branch
    assigns (weights, metrics, seeds) are carried out of it. Eagerly only the chosen
    branch runs; on PyTorch a compiled step computes both and selects.

    Args:
        pred: A boolean scalar: a tensor, or a Python bool.
        then: Takes nothing. Returns None, or a structure of tensors.
        otherwise: The same; None stands for "change nothing, return None".

    Returns:
        What the chosen branch returned.

    Raises:
        StepError: The branches return different structures.

    Example:
        >>> import keras
        >>> import ownloop as ol
        >>> count = keras.Variable(3, dtype="int32", trainable=False)
        >>> def start_again():
        ...     count.assign(0)
        ...
        >>> ol.cond(count % 4 == 3, start_again)
        >>> int(count.value)
        0
    """
    return backends.current().cond(pred, then, otherwise)
