"""A feed hands out the batches of a pass, in order, as segments for the device.

Owns the cursor: what the next batch is, and when a pass has ended. A segment is a run
of batches with one signature, so that one compiled program takes all of it. Nothing
here knows a device; `stream.py` has the feed for data that come batch by batch.
"""

import abc
from dataclasses import dataclass
from types import TracebackType
from typing import Self, final

import numpy as np

from ownloop.data.batches import Batches
from ownloop.data.bookmark import Bookmark
from ownloop.data.signature import Signature
from ownloop.errors import DataError
from ownloop.shown import shown
from ownloop.whole import whole_number


@final
@dataclass(frozen=True, eq=False)
class Segment:
    """Consecutive batches with one signature.

    Attributes:
        signature: The signature of each batch; None for steps that take no batch.
        count: How many batches there are, at least 1.
        sizes: The examples in each batch, shape (count,), int64.
        rows: Row numbers into the feed's `resident` arrays, shape (count, batch),
            or None where `leaves` has the batches themselves.
        leaves: One array per leaf, the batches stacked along a new first axis, or
            None where `rows` says where they are.
    """

    signature: Signature | None
    count: int
    sizes: np.ndarray
    rows: np.ndarray | None = None
    leaves: list[np.ndarray] | None = None


class AbstractFeed(abc.ABC):
    """The batches of one pass after another over the same data.

    Laws: the segments of a pass, laid end to end, are the same batches whatever the
    limits were; a pass of `steps` batches leaves the feed where the next begins.
    """

    @property
    @abc.abstractmethod
    def resident(self) -> list[np.ndarray] | None:
        """The whole arrays that `Segment.rows` points into; None for a stream."""

    @abc.abstractmethod
    def take(self, limit: int) -> Segment | None:
        """Returns the next batches of one signature, at most `limit`; None at the end.

        Raises:
            DataError: The data have no batch, or one that cannot be used.
        """

    @abc.abstractmethod
    def begin(self, steps: int, *, done: int = 0) -> None:
        """Begins a pass of exactly `steps` batches where the last pass stopped.

        The data begin again at their end, as often as it takes. Of the batches,
        `done` were handed out by an earlier feed.
        """

    def bookmark(self, used: int) -> Bookmark | None:
        """Returns the place after `used` batches, counted since this feed was made.

        None where the order is known without a bookmark, or there was no batch.
        """
        return None

    def forget(self, used: int) -> None:  # noqa: B027 - most have nothing to drop
        """Drops what is known of places before `used` batches, which nobody will need.

        Does nothing where nothing is noted.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of threads and buffers; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@final
class ResidentFeed(AbstractFeed):
    """Batches of arrays in memory, handed out as row numbers.

    Args:
        batches: The data.
        float_type: What float64 becomes on the device, such as `"float32"`.
        epoch: Which epoch's order to begin with, counted from 1.
        start: The first batch of that epoch to hand out, counted from 0; as large as
            the number of batches, none of that epoch is left.
        steps: How many batches make the pass; None for those to the epoch's end.

    Raises:
        DataError: There is no such batch, or `steps` is not a positive integer.

    Example:
        >>> batches = Batches(np.arange(5), batch_size=2)
        >>> feed = ResidentFeed(batches, float_type="float32", epoch=1)
        >>> feed.take(10).rows.tolist()
        [[0, 1], [2, 3]]
        >>> feed.take(10).rows.tolist(), feed.take(10)
        ([[4]], None)
    """

    def __init__(
        self,
        batches: Batches,
        *,
        float_type: str,
        epoch: int,
        start: int = 0,
        steps: int | None = None,
    ) -> None:
        if not 0 <= start <= len(batches):
            raise DataError(
                f"A pass cannot start at batch {start} of {batches!r}. Expected 0 to "
                f"{len(batches)}. Give the position where the last pass stopped."
            )
        self._batches = batches
        self._float_type = float_type
        self._epoch, self._index = epoch, start
        self._left = len(batches) - start if steps is None else check_steps(steps)
        self._signatures: dict[int, Signature] = {}
        self._advance(0)  # Behind the last batch of an epoch is the next epoch.

    @property
    def batches(self) -> Batches:
        """The data of this feed; feeds of the same data share one copy on a device."""
        return self._batches

    @property
    def resident(self) -> list[np.ndarray]:
        """The whole arrays, converted where they must be; always the same objects."""
        return self._batches.resident(self._float_type)

    def begin(self, steps: int, *, done: int = 0) -> None:
        self._left = check_steps(steps) - done

    def take(self, limit: int) -> Segment | None:
        check_limit(limit)
        pieces: list[np.ndarray] = []
        wanted = min(limit, self._left)
        while wanted > 0:
            rows = self._next_rows(wanted)
            if pieces and rows.shape[1] != pieces[0].shape[1]:
                break
            pieces.append(rows)
            wanted -= len(rows)
            self._advance(len(rows))
        if not pieces:
            return None
        rows = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return Segment(
            signature=self._signature(rows.shape[1]),
            count=len(rows),
            sizes=np.full(len(rows), rows.shape[1], dtype=np.int64),
            rows=rows,
        )

    def close(self) -> None:
        """There is nothing to let go of."""

    def _next_rows(self, wanted: int) -> np.ndarray:
        """Returns the next batches of equal size in this epoch, without moving on."""
        size = self._batches.batch_size
        start = self._index * size
        whole = self._batches.examples // size - self._index
        if whole <= 0:
            return self._batches.rows(self._epoch)[start:].reshape(1, -1)
        count = min(wanted, whole)
        rows = self._batches.rows(self._epoch)[start : start + count * size]
        return rows.reshape(count, size)

    def _advance(self, count: int) -> None:
        self._left -= count
        self._index += count
        if self._index == len(self._batches):
            self._epoch, self._index = self._epoch + 1, 0

    def _signature(self, size: int) -> Signature:
        if size not in self._signatures:
            leaves = (((size, *a.shape[1:]), a.dtype.name) for a in self.resident)
            self._signatures[size] = Signature(self._batches.structure, tuple(leaves))
        return self._signatures[size]


def check_steps(steps: int) -> int:
    """Returns a number of steps; refuses one that is not a positive integer.

    Example:
        >>> check_steps(1000)
        1000
    """
    number = whole_number(steps)
    if number is None or number < 1:
        raise DataError(
            f"steps is {shown(steps)}. Expected a positive integer: how many batches "
            "make the pass. Leave steps out for a pass over all the data."
        )
    return number


def check_limit(limit: int) -> None:
    """Refuses a limit below one batch, with which a pass would never end.

    Example:
        >>> check_limit(1)
    """
    if limit < 1:
        raise DataError(
            f"A feed was asked for {limit} batches. Expected 1 or more. Ask for as "
            "many batches as the next chunk holds."
        )
