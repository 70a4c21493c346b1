"""Opens a stream again, as it was opened in the run, and sees whether the same comes.

What comes may depend on random generators, on how often the stream was opened, or on
neither; whether it is the same is seen by the digest of the batches.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, final

from ownloop.data.bookmark import Bookmark, add_to_digest
from ownloop.data.generators import Generators, is_own
from ownloop.data.openings import Openings
from ownloop.data.signature import Signature

END = object()
"""Comes in place of a batch where there is none."""

_REMEDY = (
    "(a stream gives the same again where it shuffles by a seed of its own, or by the "
    "generators of Python, NumPy or PyTorch)"
)


@final
@dataclass(frozen=True, eq=False)
class Opened:
    """A stream that was opened.

    Attributes:
        iterable: What was opened.
        iterator: Yields its batches from the second on.
        first: Its first batch, or `END`.
    """

    iterable: Iterable[Any]
    iterator: Iterator[Any]
    first: Any

    @property
    def comes_once(self) -> bool:
        """Whether it cannot be opened another time."""
        return isinstance(self.iterable, Iterator)


def open_stream(iterable: Iterable[Any]) -> Opened:
    """Opens a stream, and reads its first batch.

    Example:
        >>> open_stream([1, 2]).first, open_stream([]).first is END
        (1, True)
    """
    iterator = iter(iterable)
    return Opened(iterable, iterator, next(iterator, END))


@final
class Opener:
    """Opens one stream so that what comes is what came in the run.

    Args:
        generators: The random generators that the stream may draw from.
        openings: What is known of how the stream was opened, in all feeds.
        float_type: What float64 becomes, as in its feed.
    """

    def __init__(
        self, generators: Generators, openings: Openings, float_type: str
    ) -> None:
        self._complaint = ""
        self._generators = generators
        self._openings = openings
        self._float_type = float_type

    def as_in_run(
        self, opened: Opened, *, draws: bool, start: Mapping[str, Any]
    ) -> Opened:
        """Returns the stream as it was at this opening in the run; notes the opening.

        Args:
            opened: The stream.
            draws: Whether it drew random numbers when it was opened.
            start: The states before that, of the generators that it surely draws from.
        """
        openings = self._openings
        if openings.is_behind and not opened.comes_once:
            if draws:
                opened = self._opened_twice(opened, start)
            else:
                opened = self._turned(opened)
        if openings.is_lost and openings.varies:
            self._complain(
                opened.iterable, "come in another order each time they are opened"
            )
        # The first batch is worth a note only where the stream can be opened again.
        is_known = not (draws or opened.comes_once or opened.first is END)
        openings.note(self._digest_of(opened.first) if is_known else None)
        return opened

    def go_to(self, iterable: Iterable[Any], place: Bookmark) -> Iterator[Any]:
        """Opens a stream, and reads what an earlier process has used of it."""
        openings = self._openings
        before = self._generators.read()
        iterator = iter(iterable)
        digest = self._go_through(iterator, place.batches)
        drawn = self._generators.drawn(before, self._generators.read())
        may_turn = not (drawn or isinstance(iterable, Iterator))
        if digest != place.digest and may_turn and openings.is_behind:
            for opening in range(1, place.opening):
                iterator = iter(iterable)
                is_it = opening == place.opening - 1
                digest = self._go_through(iterator, place.batches if is_it else 1)
                firsts = openings.firsts[opening : opening + 1]
                if not is_it and firsts and [digest] != firsts:
                    break
        if digest != place.digest:
            self._complain(
                iterable,
                f"gave other batches when the first {place.batches} were read again, "
                "to go on behind them",
                _in_between(drawn),
            )
        openings.go_back(place.opening)
        return iterator

    def open_again(
        self, iterable: Iterable[Any], place: Bookmark
    ) -> tuple[Iterator[Any], int]:
        """Opens a stream that has failed, and leaves out as many batches as it gave.

        Returns their digest, too. It is another opening, and may give other batches.
        """
        before = self._generators.read()
        opened = open_stream(iterable)
        draws = self._generators.drawn(before, self._generators.read())
        first = self._digest_of(opened.first)
        self._openings.note(None if draws else first)
        rest = self._go_through(opened.iterator, place.batches - 1, first)
        return opened.iterator, rest or 0

    def complain_of_draws(self, iterable: Iterable[Any], names: Set[str]) -> None:
        """Says that a stream read ahead and the script drew random numbers at once."""
        self._complain(
            iterable,
            f"and the script drew from {' and '.join(sorted(names))} at the same time, "
            "when the data were read ahead, in an order of chance: give one of them a "
            "generator of its own",
        )

    def take_complaint(self) -> str:
        """Returns, once, the complaint that other batches have come; else no words."""
        complaint, self._complaint = self._complaint, ""
        return complaint

    def _opened_twice(self, opened: Opened, start: Mapping[str, Any]) -> Opened:
        """Opens a stream that draws once more, to see whether it has a state beside."""
        first = self._digest_of(opened.first)
        self._generators.write(start)
        again = open_stream(opened.iterable)
        if self._digest_of(again.first) != first:
            self._complain(
                opened.iterable,
                "give other batches each time, from equal random numbers",
            )
        return again

    def _turned(self, opened: Opened) -> Opened:
        """Opens a stream as often as in the run, where what comes depends on that."""
        openings, iterable = self._openings, opened.iterable
        count, firsts = openings.count, openings.firsts
        may_turn = count == 1 or openings.varies
        first = self._digest_of(opened.first)
        if not firsts or first != firsts[0] or not may_turn:
            return opened
        if count == 1 and openings.whole is not None:
            batches, digest = openings.whole
            rest = self._go_through(opened.iterator, batches - 1, first)
            if rest != digest:
                self._complain(iterable, "do not come again")
        for opening in range(1, count):
            del opened  # A shuffle's buffer may be large.
            opened = open_stream(iterable)
            again = self._digest_of(opened.first)
            if opening == 1 and again == first != firsts[1]:
                return opened  # It does not vary by itself: the script varies it.
            if opening < len(firsts) and again != firsts[opening]:
                self._complain(
                    iterable, "come in another order each time they are opened"
                )
                return opened
        del opened
        opened = open_stream(iterable)
        openings.is_guess |= count == 1 and self._digest_of(opened.first) != first
        return opened

    def _go_through(
        self, iterator: Iterator[Any], batches: int, digest: int = 0
    ) -> int | None:
        """Reads batches and returns their digest, or None where there were fewer."""
        for _ in range(batches):
            batch = next(iterator, END)
            if batch is END:
                return None
            digest = self._digest_of(batch, digest)
        return digest

    def _digest_of(self, batch: Any, before: int = 0) -> int:
        if batch is END:
            return before
        _, leaves = Signature.of_batch(batch, float_type=self._float_type)
        return add_to_digest(before, leaves)

    def _complain(self, iterable: Iterable[Any], words: str, why: str = "") -> None:
        self._complaint = (
            f"its data, of type {type(iterable).__name__}, {words}{why} {_REMEDY}"
        )


def _in_between(drawn: Set[str]) -> str:
    """Says what else may be a reason that other batches come, where one draws."""
    shared = sorted(name for name in drawn if not is_own(name))
    if not shared:
        return ""
    return (
        f"; it draws from {' and '.join(shared)}, and perhaps the script does so, too, "
        "between its batches: give one of them a generator of its own"
    )
