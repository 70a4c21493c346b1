"""Notes where a stream was read to, and reads one again up to such a place.

A stream cannot be told to begin in its middle. It is read again from where it was
opened last, with the random generators that it drew from in the state of then; and
whether the same batches come is seen by their digest.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol, final

import numpy as np

from ownloop.data.bookmark import Bookmark, add_to_digest
from ownloop.data.signature import Signature

_END = object()


class Generators(Protocol):
    """The generators of random numbers that a stream may draw from."""

    def read(self) -> Mapping[str, Any]:
        """Give their states by name."""

    def write(self, states: Mapping[str, Any]) -> None:
        """Put back the states of those that are named."""

    def drawn(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
        """Name those whose states are not what they were."""


@final
class Marks:
    """The marks of one feed: what thread reads writes them, whoever saves asks.

    Args:
        generators: that the stream may draw from.
        float_type: as the feed has it.
        differs: is told, in words, that other batches came when they were read again.
        start: the place that an earlier process has read to; None for the begin.
        is_within: whether a pass was under way there, so that a stream that draws for
            each batch goes on with what it drew itself. Between two passes others may
            have drawn since.
        is_over: whether the stream ended there, and is not read again.
    """

    def __init__(
        self,
        generators: Generators,
        *,
        float_type: str,
        differs: Callable[[str], None],
        start: Bookmark | None = None,
        is_within: bool = False,
        is_over: bool = False,
    ) -> None:
        self._generators = generators
        self._float_type = float_type
        self._differs = differs
        self._first = start
        self._start = start
        self._is_within = is_within
        self._is_over = is_over
        self._complaint = ""
        # Of the batches that were handed out and not used yet, as far as is known.
        self._noted: deque[tuple[int, int, int]] = deque()
        self._used = 0
        self._latest = (0, 0, 0)
        # By reading, the states of what it drew from when it began, from before.
        self._openings: dict[int, Mapping[str, Any]] = {}
        # The reading thread's own.
        self._reading = 0
        self._batches = 0
        self._digest = 0

    @property
    def behind(self) -> int:
        """How many batches the next reading leaves out, since they were used."""
        if self._start is None or self._is_over:
            return 0
        return self._start.batches

    def read(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """Open a stream, and yield its batches from where it is gone on with."""
        self._reading += 1
        start, self._start = self._start, None
        if start is not None and not self._is_over:
            return self._read_again(iterable, start)
        if start is not None:
            self._generators.write(start.next)
        self._batches, self._digest = 0, 0
        return self._read(iterable)

    def note(self, leaves: list[np.ndarray]) -> None:
        """Take note of a batch that is about to be handed out."""
        self._batches += 1
        self._digest = add_to_digest(self._digest, leaves)
        self._noted.append((self._reading, self._batches, self._digest))

    def at(self, used: int) -> Bookmark | None:
        """Give the place behind so many batches, counted from the first noted.

        Of the generators, what the stream has drawn ahead since is in ``next``: whoever
        keeps their states reads those before.
        """
        while self._used < used:
            self._latest = self._noted.popleft()
            self._used += 1
        if used == 0:
            return self._first
        reading, batches, digest = self._latest
        for earlier in [n for n in self._openings if n < reading]:
            del self._openings[earlier]
        following = self._openings.get(reading + 1, {})
        return Bookmark(batches, digest, self._openings[reading], following)

    def complain(self) -> None:
        """Say, once, that other batches have come."""
        complaint, self._complaint = self._complaint, ""
        if complaint:
            self._differs(complaint)

    def _read(self, iterable: Iterable[Any]) -> Iterator[Any]:
        before = self._generators.read()
        # Until it is known from which of them it draws, it may be all.
        self._openings[self._reading] = before
        iterator = iter(iterable)
        first = next(iterator, _END)
        drawn = self._generators.drawn(before, self._generators.read())
        self._openings[self._reading] = {name: before[name] for name in drawn}
        if first is not _END:
            yield first
            yield from iterator

    def _read_again(self, iterable: Iterable[Any], start: Bookmark) -> Iterator[Any]:
        generators, now = self._generators, self._generators.read()
        generators.write(start.generators)
        self._openings[self._reading] = start.generators
        iterator = iter(iterable)
        self._batches = start.batches
        digest, count = 0, 0
        for batch in islice(iterator, start.batches):
            _, leaves = Signature.of_batch(batch, float_type=self._float_type)
            digest, count = add_to_digest(digest, leaves), count + 1
        self._digest = digest
        if count < start.batches or digest != start.digest:
            self._complaint = (
                f"its data, of type {type(iterable).__name__}, gave other batches when "
                f"the first {start.batches} were read again, to go on behind them (a "
                "stream gives the same again where it shuffles by a seed of its own, "
                "or by the generators of Python, NumPy or PyTorch)"
            )
        before = generators.read()
        following = next(iterator, _END) if self._is_within else _END
        own = generators.drawn(before, generators.read())
        now = {**now, **start.next}
        generators.write({name: now[name] for name in now if name not in own})
        if following is not _END:
            yield following
        yield from iterator
