"""Where a stretch of steps ends: with the data, the limit, the time or its memory."""

from collections.abc import Callable, Iterator
from typing import final

from ownloop.data import Segment
from ownloop.loop.pace import Watch
from ownloop.loop.pieces import Pieces, split
from ownloop.loop.shelf import Prepared


@final
class Cutter:
    """Consecutive segments of equal signature, in pieces of the right size.

    Iterating draws segments one at a time, until the data, the limit or the time ends
    it. `pieces` fills on the way; `rest` is what was drawn and has to come next: it has
    another signature, or the time came first (`is_cut`), or `pieces` is full.
    """

    def __init__(
        self,
        take: Callable[[int | None, int], Segment | None],
        first: Segment,
        prepared: Prepared,
        left: int | None,
        watch: Watch,
        pieces: Pieces,
    ) -> None:
        self.rest: Segment | None = None
        self.is_cut = False
        self._take = take
        self._first = first
        self._prepared = prepared
        self._left = left
        self._watch = watch
        self.pieces = pieces

    def __iter__(self) -> Iterator[Segment]:
        segment: Segment | None = self._first
        done = 0
        while segment is not None:
            piece, rest = split(segment, self._room(done))
            self.pieces.add(piece)
            yield piece
            done += piece.count
            if self._left is not None:
                self._left -= piece.count
            room = self._room(done)
            is_over = room == 0 or self._watch.is_over() or self.pieces.is_full
            if self._left != 0 and is_over:
                self.rest, self.is_cut = rest, True
                return
            segment = rest or self._take(self._left, room)
            if segment is not None and segment.signature != self._first.signature:
                self.rest, segment = segment, None

    def _room(self, done: int) -> int:
        return min(self._prepared.program.capacity, self._prepared.pace.room(done))
