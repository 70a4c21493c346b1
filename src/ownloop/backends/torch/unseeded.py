"""Unseeded draws in a graph that goes several ways: every number is drawn once.

`Dropout(seed=None)` draws from PyTorch's global generator. Eagerly only the way that is
taken draws; a graph computes all ways. So what is drawn before the ways part belongs
to all of them, and a draw after that is refused.
"""

from typing import Any, final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ownloop.backends.contract import Tensor
from ownloop.backends.torch.graphs import CannotTrace


def _draws(operation: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in operation.tags


@final
class NoDraws(TorchDispatchMode):
    """Refuses unseeded draws."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if _draws(func):
            raise CannotTrace("it draws unseeded random numbers in a branch")
        return func(*args, **(kwargs or {}))


@final
class SharedDraws(TorchDispatchMode):
    """Keeps what the first way draws, and gives the same to each later way."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn: list[tuple[Any, Tensor | tuple[Tensor, ...]]] = []
        self._ways = 0
        self._next = 0
        self.parted = False

    def begin_way(self) -> None:
        """Starts again with the first of the draws."""
        self._ways += 1
        self._next = 0
        self.parted = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not _draws(func):
            return func(*args, **kwargs)
        if self.parted:
            raise CannotTrace("it draws unseeded random numbers in a branch")
        if self._ways == 1:
            result = func(*args, **kwargs)
            self._drawn.append((func, _copies(result)))
            return result
        if self._next == len(self._drawn) or self._drawn[self._next][0] is not func:
            raise CannotTrace("it draws other random numbers each time it is traced")
        _, values = self._drawn[self._next]
        self._next += 1
        return args[0].copy_(values) if func._schema.is_mutable else _copies(values)


def _copies(result: Any) -> Any:
    # The step may go on to change what it drew in place.
    if isinstance(result, tuple):
        return tuple(value.clone() for value in result)
    return result.clone()
