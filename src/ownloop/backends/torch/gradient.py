"""Gradients on PyTorch: a tape that is autograd's own, and `value_and_grad`.

Steps run without autograd; inside a tape's block it is on. The graph that it records
is kept until the tensors of the block are gone, because two tapes may share it.
"""

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import torch

from ownloop.backends.contract import AbstractTape, Tensor
from ownloop.backends.torch.recording import (
    Recording,
    connect,
    holds_lost_values,
    place_of,
    switched,
)
from ownloop.errors import TapeError


@final
class _Depth(threading.local):
    """How many tapes are recording in this thread."""

    recording = 0


_depth = _Depth()


@final
class TorchTape(AbstractTape):
    """Switches autograd on for a block, and asks it for gradients afterwards."""

    def __init__(self, watch_accessed_variables: bool) -> None:
        self._recording = Recording(accessed=watch_accessed_variables)
        # Identities are only unique among living objects, so all are kept alive.
        self._watched: dict[int, keras.Variable] = {}
        self._before: bool | None = None
        self._switched: list[Tensor] = []
        weakref.finalize(self, switched.off, self._switched)

    def start(self) -> None:
        _refuse_transforms()
        self._before = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        _depth.recording += 1
        self._recording.start()

    def stop(self) -> None:
        if self._before is None:
            return
        self._recording.stop()
        _depth.recording -= 1
        if not _depth.recording:
            torch.set_grad_enabled(self._before)
        self._before = None

    def watch(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            value = tensor
            if isinstance(tensor, keras.Variable):
                self._watched[id(tensor)] = tensor
                value = tensor.value
            if not _differentiable(value):
                continue
            if value.grad_fn is None and switched.on(value):
                self._switched.append(value)
            self._recording.watch(value)

    def read(self, variable: keras.Variable, value: Tensor) -> Tensor:
        return value

    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        ends, weights = [], []
        for target, weight in zip(targets, output_gradients, strict=True):
            end = _value(target)
            if _differentiable(end):
                ends.append(end)
                one = torch.ones_like(end) if weight is None else weight
                weights.append(torch.as_tensor(one, dtype=end.dtype, device=end.device))
        return self._gradients(ends, [_value(s) for s in sources], weights)

    def rows(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        seeds: Tensor,
        *,
        vectorized: bool,
    ) -> list[Tensor | None]:
        values = [_value(source) for source in sources]
        if vectorized and len(seeds):
            return self._gradients([_value(target)], values, [seeds], batched=True)
        rows = [self.gradient([target], sources, [seed]) for seed in seeds]
        if not rows:
            return [value.new_zeros((0, *value.shape)) for value in values]
        return [
            None if column[0] is None else torch.stack(column)
            for column in zip(*rows, strict=True)
        ]

    def _gradients(
        self,
        ends: Sequence[Tensor],
        sources: Sequence[Tensor],
        weights: Sequence[Tensor],
        *,
        batched: bool = False,
    ) -> list[Tensor | None]:
        connection = connect(self._recording, [e for e in ends if e.requires_grad])
        found: list[Tensor | None] = [None] * len(sources)
        places = [
            i
            for i, source in enumerate(sources)
            if source.requires_grad and place_of(source) in connection.reached
        ]
        if _depth.recording and any(map(holds_lost_values, connection.operations)):
            raise _lost_values()
        pairs = [(e, w) for e, w in zip(ends, weights, strict=True) if e.requires_grad]
        if places:
            results = _differentiate(
                pairs, [sources[i] for i in places], connection.edges, batched=batched
            )
            for i, result in zip(places, results, strict=True):
                found[i] = result
        # Autograd knows nothing of a target that is watched by nobody, not even that
        # it is its own source.
        for i, source in enumerate(sources):
            for end, weight in zip(ends, weights, strict=True):
                if end is source and not end.requires_grad:
                    found[i] = weight if found[i] is None else found[i] + weight
        return found


def _differentiate(
    pairs: Sequence[tuple[Tensor, Tensor]],
    sources: Sequence[Tensor],
    edges: Sequence[Any],
    *,
    batched: bool,
) -> tuple[Tensor | None, ...]:
    """Asks autograd, and lets no gradient into the operations of `edges`."""
    hooks = [
        edge.register_prehook(lambda gradients: tuple(None for _ in gradients))
        for edge in edges
    ]
    try:
        # In this thread: the numbers of operations count up in each thread apart.
        with torch.autograd.set_multithreading_enabled(False):
            return torch.autograd.grad(
                [end for end, _ in pairs],
                sources,
                [weight for _, weight in pairs],
                retain_graph=True,
                # Only an outer tape can differentiate the gradient itself.
                create_graph=_depth.recording > 0,
                allow_unused=True,
                is_grads_batched=batched,
            )
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise TapeError(
            "A variable was assigned after the tape's block had used it and before its "
            "gradient was taken. On PyTorch a variable is changed in place, and the "
            f"value that the gradient needs is gone ({error}). Take the gradient "
            "first and assign afterwards."
        ) from error
    finally:
        for hook in hooks:
            hook.remove()


def _refuse_transforms() -> None:
    """Refuses a tape inside of `vectorized_map`, where autograd does not work."""
    try:
        torch.empty(0).requires_grad_()
    except RuntimeError as error:
        raise TapeError(
            "A tape was opened inside a function that PyTorch transforms, such as that "
            "of `keras.ops.vectorized_map`. Autograd does not work in there. Open the "
            "tape around the map, and take `jacobian`, `batch_jacobian` or the "
            "gradient of a sum over the examples; or use `keras.ops.map`."
        ) from error


def _lost_values() -> TapeError:
    return TapeError(
        "The gradient of a gradient was asked for, through a function with "
        "`keras.ops.custom_gradient` whose gradient function holds a tensor that its "
        "forward pass computed. On PyTorch such a tensor is a constant, and the second "
        "gradient would be wrong. Compute it anew in the gradient function, from the "
        "function's arguments."
    )


def value_and_grad(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    arguments: tuple[Any, ...],
    has_aux: bool,
) -> tuple[Any, list[Tensor | None]]:
    """Calls a function with autograd on; returns its result and the gradients."""
    tape = TorchTape(watch_accessed_variables=False)
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
    # What needs no gradient stays the same object, such as the result of a metric.
    has_graph = isinstance(value, torch.Tensor) and value.requires_grad
    return value.detach() if has_graph else value


def _value(tensor: Tensor) -> Tensor:
    return tensor.value if isinstance(tensor, keras.Variable) else tensor


def _differentiable(value: Tensor) -> bool:
    return bool(value.is_floating_point() or value.is_complex())
