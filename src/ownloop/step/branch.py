"""`cond`: a branch in a step that may change state, on every backend."""

from collections.abc import Callable
from typing import Any

import keras

from ownloop import backends
from ownloop.errors import StepError


def cond(
    pred: Any,
    then: Callable[[], Any],
    otherwise: Callable[[], Any] | None = None,
) -> Any:
    """Runs `then` where `pred` is true, else `otherwise`; both may assign variables.

    The variables that a branch assigns (weights, metrics, seeds) are carried out of
    it. In a step that a loop runs `keras.ops.cond` does the same; in one that is called
    by hand on JAX an assignment inside it leaks a tracer. Eagerly only the chosen
    branch runs; on PyTorch a compiled step computes both and selects.

    Args:
        pred: A boolean scalar: a tensor, a variable, or a Python bool.
        then: Takes nothing. Returns None, or a structure of tensors.
        otherwise: The same, with tensors of the same shapes and dtypes. None stands for
            "change nothing": what `then` returns is then of no use, and left out.

    Returns:
        What the chosen branch returned, with the values that its variables have at its
        end in place of the variables; None without `otherwise`.

    Raises:
        StepError: `pred` is no scalar, or the branches of a compiled step return
            different structures, shapes or dtypes.

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
    if isinstance(pred, keras.Variable):
        pred = pred.value
    if getattr(pred, "ndim", 0):
        raise StepError(
            f"The condition of `ownloop.cond` has the shape {tuple(pred.shape)}. One "
            "branch is chosen, so a boolean scalar was expected. Reduce it, with "
            "`keras.ops.any` or `keras.ops.all`, or choose for each element with "
            "`keras.ops.where`."
        )
    if otherwise is None:
        backends.current().cond(pred, _without_result(then), lambda: None)
        return None
    return backends.current().cond(pred, _with_values(then), _with_values(otherwise))


def _without_result(branch: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        branch()

    return run


def _with_values(branch: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        return keras.tree.map_structure(_value, branch())

    return run


def _value(leaf: Any) -> Any:
    # A copy: on PyTorch, what assigns the variable later changes its memory.
    return keras.ops.copy(leaf.value) if isinstance(leaf, keras.Variable) else leaf
