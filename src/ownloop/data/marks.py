"""Notes where a stream was read to, and goes on from such a place.

A stream cannot be told to begin in its middle. So it is opened and read again, with the
random generators that it draws from in the states that they had when it was opened
last.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, final

import numpy as np

from ownloop.data.bookmark import Bookmark, add_to_digest
from ownloop.data.generators import OwnGenerators, is_own
from ownloop.data.opener import END, Opener, open_stream
from ownloop.data.openings import Openings
from ownloop.data.who_draws import ScriptDraws, WhoDraws

_WATCHED = 3
"""After so many batches a stream draws for each, or is taken not to, where nobody goes
on from a mark: to see it takes as long as to read a small batch."""

_Early = tuple[Any, Mapping[str, Any]]
"""A batch that was read before it is asked for, and the states just after it."""

_Note = tuple[int, int, int, Mapping[str, Any]]


@final
class Marks:
    """The marks of one feed: the thread that reads writes them, whoever saves asks.

    Args:
        generators: The random generators that the stream may draw from.
        openings: What is known of how the stream was opened, in all feeds.
        float_type: What float64 becomes, as in the feed.
        differs: Is told, in words, that other batches came when the stream was read
            again; None where nobody goes on from here, and nothing is marked.
        start: The place that an earlier process has read to; None for the beginning.
        script: What is known of the script's draws where it reads the stream; None
            where nothing is known yet.

    Attributes:
        lock: Held while a batch is read, so that whoever holds it finds generators and
            marks that belong together.
        may_read_ahead: Whether the stream, as far as is known, draws only where it is
            opened or ends, or from generators of its own. Otherwise chance would decide
            which of its draws come before which draws of others. Where places are
            marked, nothing is known before it was at rest while the script went on.
        who_draws: Is told what the reader does while a batch is read.
    """

    def __init__(
        self,
        generators: OwnGenerators,
        *,
        openings: Openings,
        float_type: str,
        differs: Callable[[str], None] | None,
        start: Bookmark | None = None,
        script: ScriptDraws | None = None,
    ) -> None:
        self.lock = threading.Lock()
        self.may_read_ahead = False
        self.who_draws = WhoDraws(script or ScriptDraws())
        self._generators = generators
        self._openings = openings
        self._opener = Opener(generators, openings, float_type)
        self._differs = differs
        self._first = start
        self._start = start
        # Whether the place to go on from is one of this process, after a failure.
        self._is_here = False
        # The states of the generators just after what was used before this feed, or
        # where they are not known, just after its first batch.
        self._behind: Mapping[str, Any] = (
            {} if start is None else generators.unpack(start.ahead)
        )
        # Of each batch that was handed out and is not known to be used: the number of
        # the reading, the number of the batch in it, the digest, and the states of the
        # generators just after it.
        self._noted: deque[_Note] = deque()
        self._used = 0
        self._latest: _Note | None = None
        # By reading, the states of the generators before it, and which opening it is.
        self._begins: dict[int, tuple[Mapping[str, Any], int]] = {}
        # By reading, the generators that it has drawn from.
        self._drawn: dict[int, set[str]] = {}
        # By the number of a batch that was read while the script went on: the states
        # just after it, of what one of the two has drawn from.
        self._unsure: deque[tuple[int, Mapping[str, Any]]] = deque()
        # The reading thread's own, except while somebody else holds the lock.
        self._states: Mapping[str, Any] = {}
        self._moved: deque[tuple[int, set[str]]] = deque()
        self._read = 0
        self._last: Mapping[str, Any] = {}
        self._glance: tuple[bytes, ...] = ()  # of its own, after a batch
        self._is_own_shared = False  # others have drawn from an own one, too
        self._reading = 0
        self._batches = 0
        self._digest = 0

    @property
    def has_own(self) -> bool:
        """Whether the stream has generators of its own."""
        return bool(self._generators.glance())

    @property
    def behind(self) -> int:
        """How many batches the next reading leaves out, since they were used."""
        return 0 if self._start is None else self._start.batches

    def read(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """Opens a stream, and yields its batches from where it is gone on with."""
        start, self._start = self._start, None
        self._reading += 1
        self._batches, self._digest = 0, 0
        self._drawn[self._reading] = set()
        if start is None:
            with self.lock:
                iterator, batch = self._opened(iterable)
        else:
            with self.lock:
                iterator, early = self._opened_again(iterable, start)
            for batch, states in early:
                if batch is END:
                    return
                self._states = states
                yield batch
            self._states = self._last
            batch = self._next(iterator)
        while batch is not END:
            yield batch
            batch = self._next(iterator)

    def note(self, leaves: list[np.ndarray]) -> None:
        """Takes note of a batch that is about to be handed out."""
        self._batches += 1
        if self._differs is not None:
            self._digest = add_to_digest(self._digest, leaves)
        self._read += 1
        note = self._reading, self._batches, self._digest, self._states
        self._noted.append(note)
        self._behind = self._behind or self._states

    def note_end(self) -> None:
        """Takes note that the reader was told of the end, and the thread is at rest.

        That the thread itself has come there is chance.
        """
        if self._openings.count == self._begins[self._reading][1]:
            self._openings.whole = self._batches, self._digest

    def forget(self, used: int) -> None:
        """Drops what was noted of the first `used` batches, except of the latest one.

        A note may hold kilobytes of states, and a pass may have a million batches.
        """
        while self._used < used and self._noted:
            self._latest = self._noted.popleft()
            self._used += 1
        for early in (self._moved, self._unsure):
            while early and early[0][0] <= used:
                early.popleft()
        if self._latest is not None:
            for earlier in [n for n in list(self._begins) if n < self._latest[0]]:
                del self._begins[earlier], self._drawn[earlier]

    def at(self, used: int) -> Bookmark | None:
        """Returns the place after `used` batches, counted from the first noted."""
        if self._differs is None:
            return None
        self.forget(used)
        return self._first if self._latest is None else self._place(self._latest, used)

    def go_back(self) -> None:
        """Makes the next reading go on after the latest batch; this one has failed."""
        latest = self._noted[-1] if self._noted else self._latest
        if latest is None:
            self._start = self._first
        else:
            self._start, self._is_here = self._place(latest, self._read), True

    def put_back(self, *, is_over: bool) -> None:
        """Puts the stream's own generators back to where the used batches left them.

        How far the stream was read ahead is chance. Where others drew from one of these
        generators, too, nothing is put back. The thread that reads must have ended.

        Args:
            is_over: Whether the reader was told of the stream's end.
        """
        now = self._generators.glance()
        if self._is_own_shared or self._glance not in ((), now):
            return
        if is_over and not self._noted:
            return
        behind = self._behind if self._latest is None else self._latest[3]
        self._generators.write({n: s for n, s in behind.items() if is_own(n)})

    def _place(self, note: _Note, used: int) -> Bookmark:
        reading, batches, digest, states = note
        ahead = {name for n, names in list(self._moved) if n > used for name in names}
        begin, opening = self._begins[reading]
        unsure = [part for part in list(self._unsure) if part[0] > used]
        pack = self._generators.pack
        return Bookmark(
            batches,
            digest,
            opening,
            pack({n: begin[n] for n in self._drawn[reading] if n in begin}),
            pack({n: states[n] for n in ahead if n in states}),
            pack({n: s for _, states in unsure for n, s in states.items()}),
            unsure[-1][0] - used if unsure else 0,
        )

    def complain(self) -> None:
        """Tells `differs`, once, that other batches have come."""
        complaint = self._opener.take_complaint()
        if complaint and self._differs is not None:
            self._differs(complaint)

    # ------------------------------------------------- what the thread does

    def _next(self, iterator: Iterator[Any]) -> Any:
        """Reads the next batch, and notes which generators were drawn from for it."""
        if self._differs is None and self._batches > _WATCHED:
            return self._next_unwatched(iterator)
        with self.lock:
            before = self._generators.read()
            batch = next(iterator, END)
            drawn = self._note_drawn(before)
        if batch is not END:
            who = self.who_draws
            who.note_batch(drawn)
            self.may_read_ahead = who.is_watched and not who.by_stream
        return batch

    def _next_unwatched(self, iterator: Iterator[Any]) -> Any:
        """Reads the next batch, and notes the states of the own generators after it."""
        before = self._generators.glance()
        batch = next(iterator, END)
        self.may_read_ahead = not self.who_draws.by_stream
        self._is_own_shared |= before != self._glance
        self._glance = self._generators.glance()
        if self._glance != before:
            self._states = self._generators.read_own()
        return batch

    def _note_drawn(self, before: Mapping[str, Any], ahead: int = 0) -> set[str]:
        """Notes what was drawn for a batch, behind so many others that wait."""
        now = self._generators.read()
        drawn = self._generators.drawn(before, now)
        # Between two batches only others can have drawn random numbers.
        others = self._generators.drawn(self._last, before)
        self.who_draws.note_others(others)
        self._last, self._glance = now, self._generators.glance()
        self._is_own_shared |= any(map(is_own, others))
        unsure = self.who_draws.unsure(drawn)
        self._drawn[self._reading] |= drawn - (unsure & self.who_draws.by_script)
        if self._differs is None:
            self._states = {name: now[name] for name in now if is_own(name)}
            return drawn
        changed = drawn | others
        # A state that has not changed is shared by the notes of all batches.
        self._states = {
            name: now[name] if name in changed else self._states.get(name, now[name])
            for name in now
        }
        if drawn:
            # For the batch that comes next, or for the end after the latest one.
            number = self._read + 1 + ahead
            self._moved.append((number, drawn))
            if unsure:
                self._unsure.append((number, {name: now[name] for name in unsure}))
        return drawn

    def _opened(self, iterable: Iterable[Any]) -> tuple[Iterator[Any], Any]:
        """Opens a stream for another reading, and returns its first batch, too."""
        before = self._generators.read()
        self._begins[self._reading] = before, self._openings.count + 1
        opened = open_stream(iterable)
        drawn = self._note_drawn(before)
        self.who_draws.note_opening(drawn)
        if self._differs is not None:
            names = self._drawn[self._reading]
            start = {name: before[name] for name in names if name in before}
            opened = self._opener.as_in_run(opened, draws=bool(drawn), start=start)
        return opened.iterator, opened.first

    def _opened_again(
        self, iterable: Iterable[Any], start: Bookmark
    ) -> tuple[Iterator[Any], list[_Early]]:
        """Opens a stream, and reads what an earlier process, or reading, has used.

        Returns batches beyond these, too, where they had to be read as well.
        """
        generators = self._generators
        now, before = generators.read(), generators.unpack(start.generators)
        generators.write(before)
        opening = self._openings.count + 1 if self._is_here else start.opening
        self._begins[self._reading] = before, opening
        self._drawn[self._reading] |= before.keys()
        self.who_draws.note_opening(before.keys())
        self._batches, self._digest = start.batches, start.digest
        try:
            if self._is_here:
                iterator, self._digest = self._opener.open_again(iterable, start)
            else:
                iterator = self._opener.go_to(iterable, start)
        finally:
            # The draws of others since then stay drawn; those to read ahead do not.
            generators.write({**now, **generators.unpack(start.ahead)})
        self._behind = self._states = self._last = generators.read()
        self._glance = generators.glance()
        self._is_here = True
        if not start.unsure:
            return iterator, []
        return iterator, self._read_ahead_again(iterable, iterator, start, now)

    def _read_ahead_again(
        self,
        iterable: Iterable[Any],
        iterator: Iterator[Any],
        start: Bookmark,
        now: Mapping[str, Any],
    ) -> list[_Early]:
        """Reads as far as others may have drawn what the stream seems to have.

        That shows whose draws these were: of the stream's, none is made again.
        """
        generators, begin = self._generators, self._last
        then = generators.unpack(start.unsure)
        early: list[_Early] = []
        for number in range(start.reach):
            before = generators.read()
            batch = next(iterator, END)
            self._note_drawn(before, number)
            early.append((batch, self._states))
            if batch is END:
                break
        found = generators.read()
        by_stream = generators.drawn(begin, found) & then.keys()
        if others := generators.drawn(then, found) & by_stream:
            self._opener.complain_of_draws(iterable, others)
        generators.write({name: now[name] for name in then if name in now})
        if by_stream:
            drawn = {name: then[name] for name in by_stream}
            self._unsure.append((self._read + start.reach, drawn))
            self.who_draws.note_batch(by_stream)
        self._last, self._glance = generators.read(), generators.glance()
        rest = {name: now[name] for name in then if name in now.keys() - by_stream}
        return [(batch, {**states, **rest}) for batch, states in early]
