"""A feed that passes of `steps` share: each goes on behind the last batch used."""

from collections import deque
from typing import Any, final

import numpy as np

from ownloop.data import AbstractFeed, Bookmark, Segment
from ownloop.data.feed import check_steps
from ownloop.loop.pieces import split


@final
class SharedFeed(AbstractFeed):
    """Hands out the batches of another feed, and again those that nobody has used.

    What is drawn depends on the time; what is used does not. A pass begins it anew
    for each of its chunks, since other passes may have gone on with it in between.

    Args:
        data: What is read; kept, so that its id stays its own.
        inner: Where the batches come from.
        taken: Batches that an earlier process has used.

    Attributes:
        data: The same data.
        inner: The same feed.
        taken: Batches that steps have used.
    """

    def __init__(self, data: Any, inner: AbstractFeed, *, taken: int = 0) -> None:
        self.data = data
        self.inner = inner
        self.taken = taken
        self._before = taken
        self._left = 0
        self._drawn: deque[Segment] = deque()  # and not used yet
        self._again: deque[Segment] = deque()  # to be handed out once more

    @property
    def resident(self) -> list[np.ndarray] | None:
        return self.inner.resident

    def begin(self, steps: int, *, done: int = 0) -> None:
        self._left = check_steps(steps) - done
        again = sum(segment.count for segment in self._again)
        self.inner.begin(steps, done=min(steps, done + again))

    def take(self, limit: int) -> Segment | None:
        wanted = min(limit, self._left)
        if wanted <= 0:
            return None
        segment: Segment | None
        if self._again:
            segment, rest = split(self._again.popleft(), wanted)
            if rest is not None:
                self._again.appendleft(rest)
        else:
            segment = self.inner.take(limit)
        if segment is not None:
            self._left -= segment.count
            self._drawn.append(segment)
        return segment

    def count(self, batches: int) -> None:
        """Takes note that steps have used the next batches of those drawn."""
        self.taken += batches
        while batches > 0:
            used, rest = split(self._drawn.popleft(), batches)
            if rest is not None:
                self._drawn.appendleft(rest)
            batches -= used.count
        self.inner.forget(self.taken - self._before)

    def go_back(self) -> None:
        """Lets what was drawn and not used come next, as in a process that resumes."""
        self._again.extendleft(reversed(self._drawn))
        self._drawn.clear()

    def bookmark(self, used: int) -> Bookmark | None:
        return self.inner.bookmark(used)

    def place(self) -> Bookmark | None:
        """Returns the place behind the batches that steps have used."""
        return self.bookmark(self.taken - self._before)

    def close(self) -> None:
        self.inner.close()
