"""Who draws from a generator of the process: a stream, or the script beside it.

While a batch is read ahead the script goes on, and of a generator that has moved
meanwhile it cannot be seen whose draw that was. Other times tell: between two batches
it was not the stream, and while the reader waits it is not the script.
"""

from collections.abc import Set
from typing import final

from ownloop.data.generators import is_own


@final
class ScriptDraws:
    """What is known, at one place where streams are read, of what others draw.

    On PyTorch a step with unseeded Dropout draws from the generator of the process.

    Attributes:
        names: The generators that were drawn from between two batches.
        is_watched: Whether a stream was at rest here while the script used what it had
            got.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_watched = False


@final
class WhoDraws:
    """What is known of one stream; of generators of its own nobody needs to ask.

    Args:
        script: What is known of the script, where it reads the stream.

    Example:
        >>> who = WhoDraws(ScriptDraws())
        >>> who.note_others({"numpy"})
        >>> who.expect(is_awaited=False, has_rested=True)
        >>> who.note_batch({"numpy", "python"})
        >>> sorted(who.by_script), sorted(who.by_stream)
        (['numpy'], ['python'])
    """

    def __init__(self, script: ScriptDraws) -> None:
        self._is_awaited = True
        self._has_rested = False
        self._script = script
        # What was drawn from for a batch while the reader waited; where the stream was
        # opened; and for a batch while the script went on, by one of the two.
        self._for_batches: set[str] = set()
        self._in_openings: set[str] = set()
        self._meanwhile: set[str] = set()

    def expect(self, *, is_awaited: bool, has_rested: bool) -> None:
        """Takes in what the reader does while the next batch is read.

        Args:
            is_awaited: Whether it waits for that batch, and draws nothing meanwhile.
            has_rested: Whether the stream was at rest since the batch before, until the
                reader had used what it had got.
        """
        self._is_awaited, self._has_rested = is_awaited, has_rested

    def note_others(self, names: Set[str]) -> None:
        """Takes note of what was drawn from between two batches."""
        self._script.names |= _shared(names)

    def note_opening(self, names: Set[str]) -> None:
        """Takes note of what was drawn from where the stream was opened."""
        self._in_openings |= _shared(names)

    def note_batch(self, names: Set[str]) -> None:
        """Takes note of what was drawn from while a batch was read."""
        known = self._for_batches if self._is_awaited else self._meanwhile
        known |= _shared(names)
        self._script.is_watched |= self._has_rested

    def unsure(self, names: Set[str]) -> set[str]:
        """Returns what the script may have drawn from while a batch was read."""
        return set() if self._is_awaited else _shared(names)

    @property
    def is_watched(self) -> bool:
        """Whether it was seen what the script draws while the stream is at rest."""
        return self._script.is_watched

    @property
    def by_script(self) -> set[str]:
        """What the script draws from between two batches, and the stream never has."""
        return self._script.names - self._for_batches - self._in_openings

    @property
    def by_stream(self) -> set[str]:
        """What the stream is taken to draw from for its batches."""
        return self._for_batches | (self._meanwhile - self.by_script)


def _shared(names: Set[str]) -> set[str]:
    return {name for name in names if not is_own(name)}
