"""The segments of one stretch, as they were run: to be counted, and to be run again."""

from collections.abc import Iterator
from typing import final

import numpy as np

from ownloop.data import Segment

KEPT_BYTES = 256 * 2**20
"""A stretch takes on no further piece when it holds so many bytes of batches."""


@final
class Pieces:
    """What a program was given in one stretch, in order.

    Batches of arrays that lie on the device are kept as row numbers; others with all
    their bytes, of which a stretch therefore takes on `KEPT_BYTES` at most, and the
    piece that goes beyond.

    Args:
        kept: Whether the segments are kept; if not, they are only counted.

    Example:
        >>> pieces = Pieces(kept=True)
        >>> pieces.add(Segment(None, 3, np.ones(3, np.int64)))
        >>> pieces.add(Segment(None, 2, np.ones(2, np.int64)))
        >>> len(pieces), [piece.count for piece in pieces.between(2, 4)]
        (5, [1, 1])
    """

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._segments: list[Segment] = []
        self._sizes: list[np.ndarray] = []
        self._bytes = 0

    def add(self, segment: Segment) -> None:
        """Takes note of the next segment."""
        self._sizes.append(segment.sizes)
        if self._kept:
            self._segments.append(segment)
            self._bytes += sum(leaf.nbytes for leaf in segment.leaves or ())

    @property
    def is_full(self) -> bool:
        """Whether the stretch should end here, for the memory that it takes."""
        return self._bytes >= KEPT_BYTES

    @property
    def sizes(self) -> np.ndarray:
        """The examples in each batch."""
        return np.concatenate(self._sizes)

    def between(self, begin: int, end: int) -> Iterator[Segment]:
        """Yields the batches from `begin` up to `end`, as segments."""
        first = 0
        for segment in self._segments:
            low, high = max(begin - first, 0), min(end - first, segment.count)
            if low < high:
                yield cut(segment, slice(low, high))
            first += segment.count

    def __len__(self) -> int:
        return sum(map(len, self._sizes))


def split(segment: Segment, count: int) -> tuple[Segment, Segment | None]:
    """Returns the first `count` batches of a segment, and the others."""
    if segment.count <= count:
        return segment, None
    return cut(segment, slice(count)), cut(segment, slice(count, None))


def cut(segment: Segment, which: slice) -> Segment:
    """Returns some batches of a segment."""
    leaves = segment.leaves
    return Segment(
        segment.signature,
        len(segment.sizes[which]),
        segment.sizes[which],
        None if segment.rows is None else segment.rows[which],
        None if leaves is None else [leaf[which] for leaf in leaves],
    )
