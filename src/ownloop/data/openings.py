"""How often a stream was opened in a run, where what comes depends on that.

A `tf.data.Dataset` that shuffles gives another order each time it is opened: the
third in a process is always the same one. Another process opens it for the first time,
and must come to that order all the same.
"""

from typing import Any, final


@final
class Openings:
    """What is known of how one object was opened, in all processes of a run.

    Attributes:
        count: How often it was opened so far.
        firsts: For each opening the digest of the first batch; None where the opening
            drew from random generators, or gave no batch. While all of them are equal,
            only two are kept.
        whole: How many batches the latest opening gave up to its end, and their digest;
            None where it was not read to its end.
        is_anew: Whether other objects came in its place before. An object that is made
            anew each time is opened as if nothing had been opened before.
        is_guess: Whether it is only assumed to be the earlier process's object, since
            that process had opened it once.
        is_lost: Whether it was opened here, and the run was taken back to before that.
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
        """Whether it was opened by earlier processes, and not by this one yet."""
        return self.count > 0 and not (self._is_met or self.is_anew)

    @property
    def varies(self) -> bool:
        """Whether two of its openings began with different batches."""
        return len(set(self.firsts)) > 1

    def note(self, first: int | None) -> None:
        """Takes note that it was opened, and of its first batch."""
        self.count += 1
        known = len(self.firsts)
        if known < 2 or self.varies or first != self.firsts[0]:
            self.firsts += self.firsts[:1] * (self.count - 1 - known) + [first]
        self.whole = None
        self._is_met = True

    def go_back(self, count: int) -> None:
        """Takes note that it is open here as it was at an earlier opening."""
        self.count = count
        del self.firsts[count:]
        self.whole = None
        self._is_met = True

    def another(self) -> "Openings":
        """Returns what is known of another object that has come in its place."""
        other = Openings()
        other.is_anew = True
        return other

    def to_json(self) -> dict[str, Any]:
        """Returns what is known as JSON; see `from_json`."""
        return {
            "count": self.count,
            "firsts": list(self.firsts),
            "whole": self.whole,
            "anew": self.is_anew,
            "guess": self.is_guess,
        }

    @classmethod
    def from_json(cls, packed: dict[str, Any]) -> "Openings":
        """Returns what is known, in another process, from what `to_json` returned.

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
