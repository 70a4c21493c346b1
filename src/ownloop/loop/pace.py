"""How many steps run before the host looks at the time: a second's worth at most.

A long chunk is made of stretches. After each, its steps are counted and recorded, a
progress bar moves, and Ctrl-C is heard. Where a stretch ends depends on the time, and
nothing else does: a chunk of n steps equals n single steps to the bit.
"""

import time
from typing import final

STRETCH_SECONDS = 0.9
"""A stretch is planned to last so long, and takes on no further piece after it."""


@final
class Pace:
    """How fast one program is, from its latest stretch.

    A piece is what is handed to the program at once. Pieces are as long as they may be:
    a program takes memory for each, fresh from the system where that is much, and in
    a transformer's step of 50 ms that alone took 17 ms.

    Example:
        >>> pace = Pace()
        >>> [pace.room(done) for done in (0, 1, 2, 4)]
        [1, 1, 2, 4]
        >>> pace.learn(steps=100, seconds=1.0)
        >>> [pace.room(done) for done in (0, 60, 90)]
        [90, 30, 0]
    """

    def __init__(self) -> None:
        self._seconds_per_step: float | None = None

    def room(self, done: int) -> int:
        """Returns how many more steps make a stretch, after `done` steps of it.

        As long as nothing is known, as many as are done already.
        """
        if self._seconds_per_step is None:
            return max(1, done)
        planned = int(STRETCH_SECONDS / max(self._seconds_per_step, 1e-9))
        return max(0 if done else 1, planned - done)

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
        """Whether the stretch is to end with what it has, however few steps."""
        return self.seconds() > STRETCH_SECONDS
