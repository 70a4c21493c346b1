"""The rehearsal: a step runs once on copies, so that its variables are found.

It also brings out the user's own exceptions, as they are: what goes wrong here is wrong
in the step, what goes wrong in tracing afterwards is a limit of tracing.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, final

import keras
import torch
from torch.overrides import TorchFunctionMode

from ownloop.backends.contract import LeafSpec, StepFunction, Tensor
from ownloop.backends.torch import random
from ownloop.backends.torch.state import Native, Rehearsal

_MOST_PATHS = 16
"""At most this many ways through the `if`s of a step are tried."""


def rehearse(
    step: StepFunction, batch: Sequence[LeafSpec]
) -> tuple[keras.Variable, ...]:
    """Runs the step on copies of its state and made-up data; returns its variables.

    Nothing keeps what is computed. An exception of the step comes out as it is.
    """
    generators = random.read()
    try:
        return _every_way(step, batch, Rehearsal())
    except Exception as error:
        raised = error
    finally:
        random.write(generators)
    try:
        return rehearse_natively(step, batch)
    except Exception:
        raise raised from raised.__cause__


def rehearse_natively(
    step: StepFunction, batch: Sequence[LeafSpec]
) -> tuple[keras.Variable, ...]:
    """Runs the step on its own state, and puts the state back."""
    generators = random.read()
    native = Native()
    try:
        return _every_way(step, batch, native)
    finally:
        native.restore()
        random.write(generators)


def _every_way(
    step: StepFunction, batch: Sequence[LeafSpec], scope: Rehearsal | Native
) -> tuple[keras.Variable, ...]:
    """Runs the step with both outcomes of each `if` on a tensor.

    So a variable that is used in one step of a hundred is found as well.
    """
    with scope:
        asked = _one_way(step, batch, ())
        waiting = [(*asked[:i], not asked[i]) for i in range(len(asked))]
        for _ in range(_MOST_PATHS):
            if not waiting:
                break
            path = waiting.pop(0)
            # A way that is not taken may fail where the step checks its values.
            with contextlib.suppress(Exception):
                asked = _one_way(step, batch, path)
                new = range(len(path), len(asked))
                waiting += [(*asked[:i], not asked[i]) for i in new]
    return scope.variables


def _one_way(
    step: StepFunction, batch: Sequence[LeafSpec], answers: tuple[bool, ...]
) -> tuple[bool, ...]:
    answering = _Answering(answers)
    with torch.no_grad(), answering:
        step([made_up(leaf) for leaf in batch])
    return answering.given


@final
class _Answering(TorchFunctionMode):
    """Answers the first questions "is this tensor true?" as told, then truthfully."""

    def __init__(self, answers: tuple[bool, ...]) -> None:
        super().__init__()
        self._answers = answers
        self.given: tuple[bool, ...] = ()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func != torch.Tensor.__bool__:
            return func(*args, **(kwargs or {}))
        place = len(self.given)
        truth = func(*args)
        answer = self._answers[place] if place < len(self._answers) else truth
        self.given = (*self.given, answer)
        return answer


def made_up(leaf: LeafSpec) -> Tensor:
    """Returns a batch that few steps stumble over: zeros, or numbers in [0, 1)."""
    zeros = keras.ops.zeros(leaf.shape, leaf.dtype)
    if not zeros.is_floating_point():
        return zeros
    return torch.rand(
        leaf.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32
    ).to(zeros)
