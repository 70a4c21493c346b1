"""How often a stream was opened in a run, where what comes depends on that.

A ``tf.data.Dataset`` that shuffles gives another order each time it is opened: the
third in a process is always the same one. Another process opens it for the first time,
and must come to that order all the same.
"""

from typing import Any, final


@final
class Openings:
    """What is known of how one object was opened, in all processes of a run.

    Attributes:
        count: so often so far.
        firsts: for each opening the digest of the first batch; None where it drew from
            generators of random numbers, or gave none. While all are the same, two.
        whole: how many batches the latest opening gave to its end, and their digest;
            None where it was not read so far.
        is_anew: whether other objects came in its place before. Those that are made
            anew are opened as if nothing had been before.
        is_guess: whether it was taken for the same object as in an earlier process
            after that had opened one once.
        is_lost: whether it was opened here, and the run was taken back behind that.
    """

    def __init__(self) -> None:
        self.count = 0
        self.firsts: list[int | None] = []
        self.whole: tuple[int, int] | None = None
        self.is_anew = False
        self.is_guess = False
        self.is_lost = False
        self._is_met = False

    @property
    def is_behind(self) -> bool:
        """Whether it has been opened, and not in this process yet."""
        return self.count > 0 and not (self._is_met or self.is_anew)

    @property
    def varies(self) -> bool:
        """Whether it gave other batches at some opening than at another."""
        return len(set(self.firsts)) > 1

    def note(self, first: int | None) -> None:
        """Take note that it was opened, and of its first batch."""
        self.count += 1
        known = len(self.firsts)
        if known < 2 or self.varies or first != self.firsts[0]:
            self.firsts += self.firsts[:1] * (self.count - 1 - known) + [first]
        self.whole = None
        self._is_met = True

    def go_back(self, count: int) -> None:
        """Take note that it is open here as it was at an earlier opening."""
        self.count = count
        del self.firsts[count:]
        self.whole = None
        self._is_met = True

    def another(self) -> "Openings":
        """Give what counts from here on, where another object has come."""
        other = Openings()
        other.is_anew = True
        return other

    def to_json(self) -> dict[str, Any]:
        """Give this as JSON; see ``from_json``."""
        return {
            "count": self.count,
            "firsts": list(self.firsts),
            "whole": self.whole,
            "anew": self.is_anew,
            "guess": self.is_guess,
        }

    @classmethod
    def from_json(cls, packed: dict[str, Any]) -> "Openings":
        """Read what ``to_json`` gave, in another process.

        Example:
            >>> openings = Openings()
            >>> openings.note(5)
            >>> later = Openings.from_json(openings.to_json())
            >>> openings.is_behind, later.is_behind, later.firsts
            (False, True, [5])
        """
        openings = cls()
        openings.count, openings.firsts = packed["count"], list(packed["firsts"])
        openings.whole = None if packed["whole"] is None else tuple(packed["whole"])
        openings.is_anew, openings.is_guess = packed["anew"], packed["guess"]
        return openings
