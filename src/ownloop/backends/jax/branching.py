"""`keras.ops.cond` in a step carries what its branches assign, as `ownloop.cond` does.

Keras hands its branches to `jax.lax.cond`, which traces them apart from the step, and
what they assign is lost there. Keras' own `LossScaleOptimizer` assigns so, as do steps
that were written on TensorFlow or PyTorch, where it works. For as long as a step runs
or is traced, Keras' operation is wrapped, for the threads that do so; when the last one
has ended, the class is as Keras made it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from keras.src.ops.core import Cond

from ownloop.backends.contract import StepFunction, StepValues, Tensor
from ownloop.backends.jax.state import cond
from ownloop.backends.scope import innermost, open_scope
from ownloop.backends.wrapping import Wrapping


def carrying(step: StepFunction) -> StepFunction:
    """Returns the step with branches of `keras.ops.cond` that may assign."""

    def run(leaves: Sequence[Tensor]) -> StepValues:
        _wrapping.begin(step)
        try:
            return step(leaves)
        finally:
            _wrapping.end(step)

    return run


def _carried(call: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what stands in for `call` of Keras' operation."""

    def carried(
        operation: Cond, pred: Tensor, true_fn: Callable[[], Any], false_fn: Any
    ) -> Any:
        if _wrapping.listeners and open_scope() is innermost():
            # JAX itself compares what the branches return, as it does without us.
            return cond(pred, true_fn, false_fn, check=lambda *_: None)
        # Under a scope of the user's own, assignments go to that one.
        return call(operation, pred, true_fn, false_fn)

    return carried


_wrapping: Wrapping[StepFunction] = Wrapping(
    lambda: [(Cond, "call", _carried(Cond.call))]
)
