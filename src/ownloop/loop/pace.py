"""How many steps run before the host looks at its clock: a second's worth at most.

A long chunk is made of stretches. After each, its steps are counted and recorded, a
progress bar moves, and Ctrl-C is heard. Where a stretch ends depends on the clock, and
nothing else does: a chunk of n steps equals n single steps to the bit.
"""

import time
from typing import final

STRETCH_SECONDS = 0.75
"""A stretch takes on no further piece after this long."""

PIECE_SECONDS = 0.125
"""A piece is what is handed to the program at once; two may be under way."""


@final
class Pace:
    """How fast one program is, from its latest stretch.

    Example:
        >>> pace = Pace()
        >>> [pace.room(done) for done in (0, 1, 2, 4)]
        [1, 1, 2, 4]
        >>> pace.learn(steps=100, seconds=0.5)
        >>> pace.room(4)
        25
    """

    def __init__(self) -> None:
        self._seconds_per_step: float | None = None

    def room(self, done: int) -> int:
        """Returns how many steps to hand over after `done` steps of this stretch.

        As long as nothing is known, no more than are done already.
        """
        if self._seconds_per_step is None:
            return max(1, done)
        return max(1, int(PIECE_SECONDS / max(self._seconds_per_step, 1e-9)))

    def learn(self, *, steps: int, seconds: float) -> None:
        """Takes in how long a stretch has taken."""
        self._seconds_per_step = seconds / steps


@final
class Watch:
    """The time since it was first looked at.

    Example:
        >>> Watch().is_over()
        False
    """

    def __init__(self) -> None:
        self._begin: float | None = None

    def seconds(self) -> float:
        """Starts at the first call, which returns 0."""
        now = time.perf_counter()
        if self._begin is None:
            self._begin = now
        return now - self._begin

    def is_over(self) -> bool:
        """Whether the stretch is to end with what it has."""
        return self.seconds() > STRETCH_SECONDS
