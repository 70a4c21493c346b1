"""Gradients on PyTorch: a tape that is autograd's own, and `value_and_grad`.

Steps run without autograd; inside a tape's block it is on. The graph that it records
is kept until the tensors of the block are gone, because two tapes may share it.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import torch

from ownloop.backends.contract import AbstractTape, Tensor


class _Depth(threading.local):
    """How many tapes are recording in this thread."""

    recording = 0


_depth = _Depth()


@final
class TorchTape(AbstractTape):
    """Switches autograd on for a block, and asks it for gradients afterwards."""

    def __init__(self, watch_accessed_variables: bool) -> None:
        self._watch_accessed = watch_accessed_variables
        # Identities are only unique among living objects, so all are kept alive.
        self._watched: dict[int, keras.Variable] = {}
        self._before = False

    def start(self) -> None:
        self._before = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        _depth.recording += 1

    def stop(self) -> None:
        _depth.recording -= 1
        torch.set_grad_enabled(self._before)

    def watch(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            value = tensor
            if isinstance(tensor, keras.Variable):
                self._watched[id(tensor)] = tensor
                value = tensor.value
            if _differentiable(value) and not value.requires_grad:
                value.requires_grad_()

    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        values = [self._source(source) for source in sources]
        return gradients(targets, values, output_gradients)

    def _source(self, source: Tensor) -> Tensor | None:
        if not isinstance(source, keras.Variable):
            return source
        if not self._watch_accessed and id(source) not in self._watched:
            return None
        return source.value


def gradients(
    targets: Sequence[Tensor],
    sources: Sequence[Tensor | None],
    output_gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Returns the gradient of the sum of the targets for each source, or None."""
    ends, weights = [], []
    for target, weight in zip(targets, output_gradients, strict=True):
        end = target.value if isinstance(target, keras.Variable) else target
        if isinstance(end, torch.Tensor) and end.requires_grad:
            ends.append(end)
            one = torch.ones_like(end) if weight is None else weight
            weights.append(torch.as_tensor(one, dtype=end.dtype, device=end.device))
    places = [i for i, s in enumerate(sources) if s is not None and s.requires_grad]
    found: list[Tensor | None] = [None] * len(sources)
    if not ends or not places:
        return found
    results = torch.autograd.grad(
        ends,
        [sources[i] for i in places],
        weights,
        retain_graph=True,
        # Only an outer tape can differentiate the gradient itself.
        create_graph=_depth.recording > 0,
        allow_unused=True,
    )
    for i, result in zip(places, results, strict=True):
        found[i] = result
    return found


def value_and_grad(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    arguments: tuple[Any, ...],
    has_aux: bool,
) -> tuple[Any, list[Tensor | None]]:
    """Calls a function with autograd on; returns its result and the gradients."""
    tape = TorchTape(watch_accessed_variables=True)
    tape.start()
    try:
        tape.watch(variables)
        result = function(*arguments)
    finally:
        tape.stop()
    loss = result[0] if has_aux else result
    found = tape.gradient([loss], variables, [None])
    if _depth.recording == 0:
        # Nobody differentiates the value again, and a number is what people print.
        result = keras.tree.map_structure(_detached, result)
    return result, found


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def _differentiable(value: Tensor) -> bool:
    return bool(value.is_floating_point() or value.is_complex())
