"""How often a stream was opened in a run, where what comes depends on that.

A ``tf.data.Dataset`` that shuffles gives another order each time it is opened: the
third in a process is always the same one. Another process opens it for the first time,
and must come to that order all the same.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, final


@final
class Openings:
    """Counts how often one object was opened, in all processes of a run.

    Attributes:
        count: so often so far.
        objects: how many objects came in its place, one after the other: 1, or 2 for
            more. Those that are made anew are opened as if nothing had been before.
        is_guess: whether it was taken for the same object as in an earlier process
            after that had opened one once.
        latest: the digest of the first batch at the latest opening, where it is known.

    Example:
        >>> earlier = Openings()
        >>> for first in (11, 22):
        ...     earlier.note(first)
        ...
        >>> later = Openings.from_json(earlier.to_json())
        >>> later.must_go_on(11), later.must_go_on(33)
        (True, False)
    """

    def __init__(self) -> None:
        self.count = 0
        self.objects = 1
        self.is_guess = False
        self.latest: int | None = None
        self._first: int | None = None
        self._varies: bool | None = None
        self._here = 0

    def note(self, digest: int | None, *, has_gone_on: bool = False) -> None:
        """Take note that it was opened.

        Args:
            digest: of its first batch; None where what comes depends on generators of
                random numbers.
            has_gone_on: whether it was opened as often as in the run, here.
        """
        self.count += 1
        self._here += 1
        self.latest = digest
        if self.count == 1:
            self._first = digest
        elif digest is None or self._first is None:
            self._first = None
        elif not self._varies:
            self._varies = digest != self._first
            self.is_guess = self._varies and has_gone_on and self.count == 2

    def must_go_on(self, digest: int) -> bool:
        """Say whether it began here as it began the run, and may have gone on since.

        Args:
            digest: of the first batch, when it was opened here for the first time.
        """
        is_first_here = self._here == 0 and self.count > 0 and self.objects == 1
        return is_first_here and digest == self._first and self._varies is not False

    @property
    def is_closed_here(self) -> bool:
        """Whether it was not opened in this process."""
        return self._here == 0

    def go_back(self, count: int, *, is_open: bool) -> None:
        """Count from an earlier opening on, which was, or was not, made here again."""
        self.count = count
        self._here = count if is_open else 0

    def another(self) -> "Openings":
        """Give what counts from here on, where another object has come."""
        other = Openings()
        other.objects = 2
        return other

    def to_json(self) -> list[Any]:
        """Give the count as JSON; see ``from_json``."""
        known = self.latest, self._first, self._varies
        return [self.count, self.objects, self.is_guess, *known]

    @classmethod
    def from_json(cls, packed: list[Any]) -> "Openings":
        """Read what ``to_json`` gave, in another process."""
        openings = cls()
        openings.count, openings.objects, openings.is_guess, *known = packed
        openings.latest, openings._first, openings._varies = known
        return openings


def come_to(
    iterable: Iterable[Any], number: int, is_it: Callable[[Iterator[Any]], bool]
) -> Iterator[Any] | None:
    """Open a stream, that was opened once, until it is as it was at some opening.

    Some turn when they are opened, and others when they are read.

    Args:
        iterable: the stream.
        number: of the opening, at least 2.
        is_it: reads from an iterator, and says whether it is the one.

    Example:
        >>> come_to([1, 2], 3, lambda iterator: next(iterator) == 2) is None
        True
    """
    for _ in range(number - 2):
        iter(iterable)
    for _ in range(number):
        if is_it(iterator := iter(iterable)):
            return iterator
    return None
