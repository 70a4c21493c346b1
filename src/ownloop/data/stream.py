"""The feed for data that come batch by batch: any iterable, read ahead in a thread.

Owns what counts as a stream, and the words for one that cannot be used. The thread
and its buffer are in `prefetch.py`.
"""

import weakref
from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any, final

from ownloop.data.bookmark import Bookmark
from ownloop.data.feed import AbstractFeed, Segment, check_limit, check_steps
from ownloop.data.leaves import is_array
from ownloop.data.marks import Marks
from ownloop.data.prefetch import Prefetch
from ownloop.errors import DataError
from ownloop.shown import shown


@final
class StreamFeed(AbstractFeed):
    """Batches pulled from an iterable, stacked while the device is busy.

    One background thread reads and stacks them; the iterable is used by no other
    thread. An exception in the iterable comes out of `take` as the same object, after
    the batches before it were handed out, and again from each later `take`. Where a
    pass begins after that, an iterable that can be read again is read up to there.

    A pass without `steps` reads the iterable once; for another pass make another
    feed. With `steps` keep the feed and call `begin`: the iterator stays open, and what
    was read ahead is not lost. At the iterator's end `iter(iterable)` is called again,
    when a batch is needed and not ahead of that, since it may draw from random
    generators that others draw from, too. No segment crosses such an end.

    Args:
        iterable: Yields batches: arrays of any library, bare or in tuples, lists or
            dicts.
        float_type: What float64 becomes, such as `"float32"`.
        steps: How many batches make the pass; None for those to the iterable's end.
            A pass reads no batch beyond its last.
        ahead: How many batches may be read before they are asked for; None for twice
            the limit of the latest `take`, 0 to read only on demand.
        skip: How many batches to read first and not to hand out, because an earlier
            feed did.
        marks: What is needed to note bookmarks, and to go on after one; None where no
            bookmark is needed.

    Raises:
        DataError: The iterable is none, or is arrays rather than batches.

    Example:
        >>> stream = [[1, 2], [3, 4], [5]]
        >>> with StreamFeed(stream, float_type="float32") as feed:
        ...     while (segment := feed.take(10)) is not None:
        ...         print(segment.count, segment.leaves[0].shape)
        2 (2, 2)
        1 (1, 1)
    """

    def __init__(
        self,
        iterable: Iterable[Any],
        *,
        float_type: str,
        steps: int | None = None,
        ahead: int | None = None,
        skip: int = 0,
        marks: Marks | None = None,
    ) -> None:
        check_stream(iterable)
        self._marks = marks
        self._goes_on = steps is not None
        self._prefetch = Prefetch(
            iterable,
            float_type=float_type,
            left=None if steps is None else check_steps(steps),
            ahead=ahead,
            skip=skip,
            marks=marks,
        )
        # The thread knows the buffer and not this feed, so a forgotten feed is
        # collected, and its thread ends.
        self._finalizer = weakref.finalize(self, self._prefetch.close)

    @property
    def resident(self) -> None:
        """None: the segments of a stream carry their batches."""
        return None

    def take(self, limit: int) -> Segment | None:
        check_limit(limit)
        segment = self._prefetch.take(limit)
        if self._marks is not None:
            self._marks.complain()
        return segment

    def begin(self, steps: int, *, done: int = 0) -> None:
        self._prefetch.begin(check_steps(steps) - done)

    def bookmark(self, used: int) -> Bookmark | None:
        return None if self._marks is None else self._marks.at(used)

    def forget(self, used: int) -> None:
        if self._marks is not None:
            self._marks.forget(used)

    def close(self) -> None:
        """Lets go of threads and buffers; may be called twice.

        Without `steps`, a stream's own random generators are then where the batches
        that were used left them, however far the stream was read ahead.
        """
        is_left = self._finalizer.alive and not self._goes_on
        self._finalizer()
        if is_left and self._marks is not None and self._marks.has_own:
            self._prefetch.join()
            self._marks.put_back(is_over=self._prefetch.is_over)


def check_stream(iterable: Any) -> None:
    """Refuses data that are arrays, or nothing that batches can be read from.

    Raises:
        DataError: Says what was given and how to pass it.

    Example:
        >>> check_stream([([1, 2], [0, 1])])
    """
    if _is_arrays(iterable):
        raise DataError(
            f"The data are arrays ({type(iterable).__name__}), not batches. Expected "
            "Batches, or an iterable that gives one batch at a time. Pass "
            "ol.Batches(arrays, batch_size=32)."
        )
    if isinstance(iterable, FunctionType | MethodType):
        name = iterable.__name__
        raise DataError(
            f"The data are the function {name}. Expected what it gives: an iterable of "
            "batches. Call it, for each pass: `epoch.train(step, "
            f"{name if name.isidentifier() else 'batches'}())`."
        )
    if isinstance(iterable, str | bytes) or not isinstance(iterable, Iterable):
        raise DataError(
            f"The data are {shown(iterable)}, of type {type(iterable).__name__}. "
            "Expected Batches, or an iterable that gives one batch at a time: a "
            "tf.data.Dataset, a torch DataLoader, a list, or a class with __iter__. "
            "Pass ol.Batches(arrays, batch_size=32) for arrays in memory."
        )


def _is_arrays(data: Any) -> bool:
    if isinstance(data, tuple):
        return any(is_array(item) for item in data)
    return isinstance(data, dict) or is_array(data)
