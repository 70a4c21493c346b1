"""`keras.ops.cond` in a step carries what its branches assign, as `ownloop.cond` does.

Keras hands its branches to `jax.lax.cond`, which traces them apart from the step, and
what they assign is lost there. Keras' own `LossScaleOptimizer` assigns so, as do steps
that were written on TensorFlow or PyTorch, where it works. For as long as a step runs
or is traced, Keras' operation is wrapped, for the threads that do so; when the last one
has ended, the class is as Keras made it.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, final

from keras.src.ops.core import Cond

from ownloop.backends.contract import StepFunction, StepValues, Tensor
from ownloop.backends.jax.state import cond
from ownloop.backends.scope import innermost, open_scope


@final
class _Running(threading.local):
    """How many steps run in this thread, one within the other."""

    depth = 0


_running = _Running()
_lock = threading.Lock()
_installed = 0
_plain: Callable[..., Any] = Cond.call


def carrying(step: StepFunction) -> StepFunction:
    """Returns the step with branches of `keras.ops.cond` that may assign."""

    def run(leaves: Sequence[Tensor]) -> StepValues:
        _begin()
        try:
            return step(leaves)
        finally:
            _end()

    return run


def _begin() -> None:
    global _installed
    with _lock:
        if not _installed:
            Cond.call = _carried
        _installed += 1
    _running.depth += 1


def _end() -> None:
    global _installed
    _running.depth -= 1
    with _lock:
        _installed -= 1
        if not _installed:
            Cond.call = _plain


def _carried(
    operation: Cond, pred: Tensor, true_fn: Callable[[], Any], false_fn: Any
) -> Any:
    """Stands in for `call` of Keras' operation."""
    if _running.depth and open_scope() is innermost():
        # JAX itself compares what the branches return, as it does without us.
        return cond(pred, true_fn, false_fn, check=lambda *_: None)
    # Under a scope of the user's own, assignments go to that one.
    return _plain(operation, pred, true_fn, false_fn)
