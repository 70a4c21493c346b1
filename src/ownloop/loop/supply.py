"""The data of a run: opened for each pass, placed on the device once, gone on with.

Passes of a number of steps share one feed for the same data, and this knows how many
batches each has taken, which is all that another process needs to go on.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import Placed
from ownloop.data import (
    AbstractFeed,
    Batches,
    FromEpoch,
    NoDataFeed,
    ResidentFeed,
    StreamFeed,
    is_mapped,
)
from ownloop.data.feed import check_steps
from ownloop.errors import LoopError


@final
@dataclass
class _Shared:
    """A feed that passes of `steps` share; the data are kept, so their id stays theirs.

    taken: batches that steps have used, which a feed may be ahead of.
    """

    data: Any
    feed: AbstractFeed
    taken: int


@final
class Supply:
    """Opens feeds, and remembers those that are gone on with."""

    def __init__(self) -> None:
        self._placed: weakref.WeakKeyDictionary[Batches, Placed] = (
            weakref.WeakKeyDictionary()
        )
        self._shared: dict[str, _Shared] = {}
        self._earlier: dict[str, int] = {}

    def feed(
        self, data: Any, *, name: str, steps: int | None, epoch: int, done: int = 0
    ) -> AbstractFeed:
        """Opens data for a pass, or goes on where a pass of `steps` left them.

        Args:
            data: As in `Epoch.train`.
            name: The pass's name, by which another process knows data gone on with.
            steps: How many batches make the pass; None for those to the data's end.
            epoch: The epoch whose order is meant.
            done: Batches that an earlier process has done of this pass.
        """
        if data is None:
            if steps is None:
                raise LoopError(
                    "A pass without data has no end: `steps` is None. A step that "
                    "takes no batch needs a number of steps. Pass, for example, "
                    "`steps=1000`."
                )
            return NoDataFeed(steps=steps, done=done)
        if steps is None:
            return _open(data, epoch=max(epoch, 1), skip=done)
        check_steps(steps)
        for shared in self._shared.values():
            if shared.data is data:
                return shared.feed
        return self._share(data, name, steps)

    def _share(self, data: Any, name: str, steps: int) -> AbstractFeed:
        taken_names = [key.partition("#")[0] for key in self._shared]
        key = f"{name}#{taken_names.count(name)}"
        taken = self._earlier.pop(key, 0)
        rounds, skip = 0, taken
        length = count_batches(data)
        if length:
            rounds, skip = divmod(taken, length)
        feed = _open(data, epoch=1 + rounds, skip=skip, steps=steps)
        self._shared[key] = _Shared(data, feed, taken)
        return feed

    def is_shared(self, feed: AbstractFeed) -> bool:
        """Whether passes of `steps` share this feed: each begins it, none ends it."""
        return any(feed is shared.feed for shared in self._shared.values())

    def count(self, feed: AbstractFeed, batches: int) -> None:
        """Takes note that steps have used batches of a feed."""
        for shared in self._shared.values():
            if shared.feed is feed:
                shared.taken += batches

    def positions(self) -> dict[str, int]:
        """Returns how many batches were taken from data that are gone on with."""
        return self._earlier | {key: s.taken for key, s in self._shared.items()}

    def go_to(self, positions: Mapping[str, int]) -> None:
        """Lets data that are gone on with begin where another process left them."""
        self._shared.clear()
        self._earlier = dict(positions)

    def place(self, feed: AbstractFeed) -> Placed | None:
        """Returns whole arrays on the device, where a feed hands out row numbers."""
        if not isinstance(feed, ResidentFeed):
            return None
        batches = feed.batches
        if batches not in self._placed:
            self._placed[batches] = backends.current().place(feed.resident)
        return self._placed[batches]


def count_batches(data: Any) -> int | None:
    """Returns how many batches data have, where they say so.

    Example:
        >>> count_batches([1, 2]), count_batches(iter([1, 2]))
        (2, None)
    """
    try:
        count = len(data)
    except TypeError:
        return None
    return int(count) if count >= 0 else None


def _open(
    data: Any, *, epoch: int, skip: int, steps: int | None = None
) -> AbstractFeed:
    """Opens arrays by their row numbers, anything else as a stream."""
    float_type = keras.config.floatx()
    if isinstance(data, Batches):
        if not is_mapped(data):
            return ResidentFeed(
                data, float_type=float_type, epoch=epoch, start=skip, steps=steps
            )
        data = FromEpoch(data, epoch=epoch)
    return StreamFeed(data, float_type=float_type, steps=steps, skip=skip)
