"""Notes where a stream was read to, and reads one again up to such a place.

A stream cannot be told to begin in its middle. It is read again from where it was
opened last, with the random generators that it drew from in the state of then; and
whether the same batches come is seen by their digest.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, final

import numpy as np

from ownloop.data.bookmark import Bookmark, add_to_digest
from ownloop.data.generators import Generators
from ownloop.data.openings import Openings, come_to
from ownloop.data.signature import Signature

_END = object()
_REMEDY = (
    "(a stream gives the same again where it shuffles by a seed of its own, or by the "
    "generators of Python, NumPy or PyTorch)"
)


@final
class Marks:
    """The marks of one feed: what thread reads writes them, whoever saves asks.

    Args:
        generators: that the stream may draw from.
        openings: of the stream, in all feeds.
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
        openings: Openings,
        float_type: str,
        differs: Callable[[str], None],
        start: Bookmark | None = None,
        is_within: bool = False,
        is_over: bool = False,
    ) -> None:
        self._generators = generators
        self._openings = openings
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
        # By reading, the states of what it drew from when it began, from before, and
        # how often it was opened.
        self._begins: dict[int, tuple[Mapping[str, Any], int]] = {}
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
            self._openings.go_back(start.opening, is_open=False)
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
        for earlier in [n for n in self._begins if n < reading]:
            del self._begins[earlier]
        states, opening = self._begins[reading]
        following, _ = self._begins.get(reading + 1, ({}, 0))
        return Bookmark(batches, digest, states, opening, following)

    def complain(self) -> None:
        """Say, once, that other batches have come."""
        complaint, self._complaint = self._complaint, ""
        if complaint:
            self._differs(complaint)

    def _read(self, iterable: Iterable[Any]) -> Iterator[Any]:
        before, openings = self._generators.read(), self._openings
        # Until it is known from which of them it draws, it may be all.
        self._begins[self._reading] = before, openings.count + 1
        iterator = iter(iterable)
        first = next(iterator, _END)
        drawn = self._generators.drawn(before, self._generators.read())
        # What can be opened once only is not opened again.
        is_known = not (drawn or isinstance(iterable, Iterator))
        digest = self._digest_of(first) if is_known else None
        has_gone_on = digest is not None and openings.must_go_on(digest)
        if has_gone_on:
            self._come_to_latest(iterable)
            iterator = iter(iterable)
            first = next(iterator, _END)
            digest = self._digest_of(first)
        openings.note(digest, has_gone_on=has_gone_on)
        states = {name: before[name] for name in drawn}
        self._begins[self._reading] = states, openings.count
        if first is not _END:
            yield first
            yield from iterator

    def _come_to_latest(self, iterable: Iterable[Any]) -> None:
        """Open a stream as often as in the run, having opened it once."""
        count, latest = self._openings.count, self._openings.latest

        def is_it(iterator: Iterator[Any]) -> bool:
            return self._digest_of(next(iterator, _END)) == latest

        if count > 1 and come_to(iterable, count, is_it) is None:
            self._complaint = (
                f"its data, of type {type(iterable).__name__}, come in another order "
                f"each time they are opened, and the one of opening {count} did not "
                f"come again {_REMEDY}"
            )

    def _read_again(self, iterable: Iterable[Any], start: Bookmark) -> Iterator[Any]:
        generators, now = self._generators, self._generators.read()
        generators.write(start.generators)
        self._begins[self._reading] = start.generators, start.opening
        self._batches, self._digest = start.batches, start.digest

        def is_it(iterator: Iterator[Any]) -> bool:
            return self._go_through(iterator, start.batches) == start.digest

        iterator = iter(iterable)
        is_same = is_it(iterator)
        may_turn = not (start.generators or isinstance(iterable, Iterator))
        if not is_same and may_turn and self._openings.is_closed_here:
            found = come_to(iterable, start.opening, is_it)
            iterator, is_same = found or iterator, found is not None
        self._openings.go_back(start.opening, is_open=True)
        if not is_same:
            self._complaint = (
                f"its data, of type {type(iterable).__name__}, gave other batches when "
                f"the first {start.batches} were read again, to go on behind them "
                f"{_REMEDY}"
            )
        before = generators.read()
        following = next(iterator, _END) if self._is_within else _END
        own = generators.drawn(before, generators.read())
        now = {**now, **start.next}
        generators.write({name: now[name] for name in now if name not in own})
        if following is not _END:
            yield following
        yield from iterator

    def _go_through(self, iterator: Iterator[Any], batches: int) -> int | None:
        """Read so many; give their digest, or None where there were fewer."""
        digest, count = 0, 0
        for batch in islice(iterator, batches):
            digest, count = self._digest_of(batch, digest), count + 1
        return digest if count == batches else None

    def _digest_of(self, batch: Any, before: int = 0) -> int:
        if batch is _END:
            return before
        _, leaves = Signature.of_batch(batch, float_type=self._float_type)
        return add_to_digest(before, leaves)
