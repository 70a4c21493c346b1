"""An observer that knows at which step the run stands."""

from collections.abc import Callable
from typing import final

from ownloop.events import ChunkDone, EpochDone, Event, PassDone, Started


@final
class Position:
    """Keeps the latest step that it was told of; None before any.

    Args:
        told: is given each one.
    """

    def __init__(self, told: Callable[[int], object] = lambda step: None) -> None:
        self.step: int | None = None
        self._told = told

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started | ChunkDone | PassDone | EpochDone):
            self.step = event.step
            self._told(event.step)
