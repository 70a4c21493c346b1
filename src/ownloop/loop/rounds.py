"""What `loop.epochs` returns: each for-loop over it is a round of its own.

A generator that has a name hears nothing of a `break`: it stays open, and so would its
epoch, until the name is gone. Here each for-loop gets an iterator of its own, which is
gone with it. Whoever holds on to that one, as a named `enumerate` does, keeps the round
under way. What a round does is in `round.py`.
"""

from collections.abc import Callable, Iterator
from typing import final

from ownloop.loop.epoch import Epoch


@final
class Rounds:
    """Begins a round where a for-loop begins, or where `next` is first asked.

    Args:
        begin: Returns an iterator that begins the round with its first epoch.

    Example:
        >>> rounds = Rounds(lambda: iter([1, 2, 3]))
        >>> [number for number in rounds], next(rounds), next(rounds), list(rounds)
        ([1, 2, 3], 1, 2, [3])
    """

    def __init__(self, begin: Callable[[], Iterator[Epoch]]) -> None:
        self._begin = begin
        # Of who asks for one epoch at a time: there is no for-loop that could hold it.
        self._by_hand: Iterator[Epoch] | None = None

    def __iter__(self) -> Iterator[Epoch]:
        return self._begin() if self._by_hand is None else self._by_hand

    def __next__(self) -> Epoch:
        if self._by_hand is None:
            self._by_hand = self._begin()
        return next(self._by_hand)
