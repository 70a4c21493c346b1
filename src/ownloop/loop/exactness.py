"""Whether a run goes on exactly: what differs is refused by its name, or marks it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from ownloop.errors import CheckpointError, FolderError
from ownloop.loop.capture import Tracked
from ownloop.loop.run import Run
from ownloop.resume import fingerprint

_MANY = 8
"""So many differences are named."""


@final
class Exactness:
    """Refuses to go on with a run where something differs, or says so and marks it.

    Args:
        folder: Where the run is.
        run: The run, which says what differs.
        tracked: Where it is marked.
        resume: As `Loop` got it; with "inexact" nothing is refused.

    Attributes:
        has_refused: Whether it has since the run was opened; that stays as it is.
    """

    def __init__(
        self, folder: Path, run: Run, tracked: Tracked, resume: bool | str
    ) -> None:
        self._folder = folder
        self._run = run
        self._tracked = tracked
        self._resume = resume
        # This loop has left the run, and had it open before.
        self._is_again = False
        self.has_refused = False

    def begin(self, *, is_again: bool) -> None:
        """Takes note that the run is opened, perhaps by the loop that has left it."""
        self._is_again, self.has_refused = is_again, False

    def compare(
        self, where: str, before: Mapping[str, Any], now: Mapping[str, Any]
    ) -> None:
        """Compares what was with what is, by name.

        Raises:
            FolderError: They differ, and the run is to be continued exactly.
        """
        if differences := fingerprint.differences(before, now):
            self.refuse(f"{where}{_in_short(differences)}")

    def tell(
        self, where: str, before: Mapping[str, Any], now: Mapping[str, Any]
    ) -> None:
        """Says what differs where that may be right, and notes it for who looks later.

        An epoch may have what no earlier one had; only the script knows.
        """
        if differences := fingerprint.differences(before, now):
            words = f"{where}{_in_short(differences)}"
            self._run.say(words)
            if words not in self._tracked.doubts:
                self._tracked.doubts = [*self._tracked.doubts, words][-_MANY:]

    def refuse(self, words: str) -> None:
        """Refuses to go on, or says what differs where the user goes on inexactly.

        Raises:
            FolderError: The run is to be continued exactly.
        """
        if self._resume == "inexact":
            self._go_on_inexactly(words)
            return
        self.has_refused = True
        raise FolderError(
            f"The run in {self._folder} cannot be continued exactly: {words}. "
            "Expected what it began with, since otherwise other numbers come out. "
            "Restore that, or choose another folder for another run, or pass "
            "`Loop(resume='inexact')`, which marks this one."
        )

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Takes note of it where values of the run do not fit what is there."""
        try:
            yield
        except CheckpointError:
            self.has_refused = True
            raise

    def other_batches(self, words: str) -> None:
        """Says that a stream does not come again; refuses that in another process.

        A cell that is run once more goes on, and the run is marked.

        Raises:
            FolderError: The run is to be continued exactly.
        """
        if self._is_again:
            self._go_on_inexactly(words)
        else:
            self.refuse(words)

    def _go_on_inexactly(self, words: str) -> None:
        if not self._tracked.inexact:
            self._run.say(f"continuing inexactly, since {words}")
        self._tracked.inexact = True


def _in_short(differences: list[str]) -> str:
    if len(differences) > _MANY:
        # One layer less, and all behind it differ.
        more = f"and {len(differences) - _MANY} more differences"
        differences = [*differences[:_MANY], more]
    return "; ".join(differences)
