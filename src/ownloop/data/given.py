"""Feeds without a data set: batches handed in one by one, or no batches at all."""

from typing import Any, final

import numpy as np

from ownloop.data.feed import AbstractFeed, Segment, check_limit, check_steps
from ownloop.data.signature import Signature, examples


@final
class GivenFeed(AbstractFeed):
    """Hands out the batches that it was given, in order, each once.

    Example:
        >>> feed = GivenFeed(float_type="float32")
        >>> feed.give((np.zeros((2, 3)), np.zeros(2)))
        >>> feed.take(10).count, feed.take(10)
        (1, None)
    """

    def __init__(self, *, float_type: str) -> None:
        self._float_type = float_type
        self._waiting: list[Segment] = []

    @property
    def resident(self) -> None:
        """None: each batch comes with its segment."""
        return None

    def give(self, batch: Any) -> None:
        """Puts a batch at the end of the line."""
        signature, leaves = Signature.of_batch(batch, float_type=self._float_type)
        sizes = np.array([examples(leaves)], np.int64)
        stacked = [leaf[np.newaxis] for leaf in leaves]
        self._waiting.append(Segment(signature, 1, sizes, leaves=stacked))

    def take(self, limit: int) -> Segment | None:
        check_limit(limit)
        return self._waiting.pop(0) if self._waiting else None

    def begin(self, steps: int, *, done: int = 0) -> None:
        """Does nothing: batches come when they are given."""

    def close(self) -> None:
        self._waiting.clear()


@final
class NoDataFeed(AbstractFeed):
    """Hands out a number of steps that take no batch; each counts as one example.

    `done` of them were handed out by an earlier feed.

    Example:
        >>> feed = NoDataFeed(steps=3)
        >>> feed.take(2).count, feed.take(2).count, feed.take(2)
        (2, 1, None)
    """

    def __init__(self, *, steps: int, done: int = 0) -> None:
        self.begin(steps, done=done)

    @property
    def resident(self) -> None:
        """None: there are no arrays."""
        return None

    def take(self, limit: int) -> Segment | None:
        check_limit(limit)
        count = min(limit, self._left)
        if count == 0:
            return None
        self._left -= count
        return Segment(None, count, np.ones(count, np.int64))

    def begin(self, steps: int, *, done: int = 0) -> None:
        self._left = check_steps(steps) - done

    def close(self) -> None:
        """There is nothing to let go of."""
