"""A stretch that can be run again, and the search for its first bad step.

A step is bad if it logs a loss that is not finite, or if it spoils the state: makes
values NaN or infinite that were neither before. What is spoilt stays so, as weights
do, and spoils the next loss; on that the search relies. Nothing here decides what is
to follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from ownloop import backends
from ownloop.backends.contract import AbstractProgram, ChunkValues, Placed, Snapshot
from ownloop.loop.logged_steps import LoggedSteps
from ownloop.loop.pieces import Pieces
from ownloop.step import Logged


@final
@dataclass(frozen=True, eq=False)
class Stretch:
    """What one program has run of a stretch, with all that it takes to run it again.

    Attributes:
        program: What ran them.
        data: The whole arrays that their rows refer to.
        pieces: Their batches.
        variables: Their state.
        before: Its values before the first of them.
        logged: The names of what they logged.
    """

    program: AbstractProgram
    data: Placed | None
    pieces: Pieces
    variables: tuple[keras.Variable, ...]
    before: Snapshot
    logged: Sequence[Logged]

    def again(self, begin: int, end: int) -> LoggedSteps:
        """Runs the steps from `begin` up to `end`, on the present state."""
        segments = self.pieces.between(begin, end)
        return self.part(begin, end, self.program.run(segments, self.data))

    def part(self, begin: int, end: int, values: ChunkValues) -> LoggedSteps:
        """Returns what these steps logged."""
        return LoggedSteps(self.logged, values, self.pieces.sizes[begin:end])

    def read(self) -> Snapshot:
        """Keeps the present state."""
        return backends.current().read(self.variables)

    def write(self, state: Snapshot) -> None:
        """Puts a state back."""
        backends.current().write(self.variables, state)

    def spoilt(self, part: LoggedSteps, before: Snapshot) -> list[int]:
        """Returns the places of variables that a part has spoilt, which has just run.

        Args:
            part: What it logged.
            before: The state that it ran from.
        """
        finite = part.values.finite
        if finite is None:
            finite = backends.current().finite(self.variables)
        return [
            int(i)
            for i in np.flatnonzero(~finite)
            if bool(_is_new(self.variables[i].value, before.values[i]))
        ]

    def is_bad(self, part: LoggedSteps, before: Snapshot) -> bool:
        """Whether a part that has just run from a state has a bad step in it."""
        return part.first_bad_loss() is not None or bool(self.spoilt(part, before))


def _is_new(now: Any, before: Any) -> Any:
    ops = keras.ops
    infinite = ops.logical_not(ops.isfinite(now))
    return ops.any(ops.logical_and(infinite, ops.isfinite(before)))


@final
@dataclass(frozen=True, eq=False)
class BadStep:
    """The first bad step of a stretch, and the way to it.

    Attributes:
        step: Its place in the stretch, counted from 0.
        state: The state before it.
        good: What the steps before it logged; None where there are none.
    """

    step: int
    state: Snapshot
    good: LoggedSteps | None


def find(stretch: Stretch, begin: int, part: LoggedSteps, before: Snapshot) -> BadStep:
    """Finds the first bad step, and leaves the state as it was just before it.

    Runs steps again that had run before, at most about twice as many.

    Args:
        stretch: The steps.
        begin: The first of those in question.
        part: What they logged, with at least one bad step among them.
        before: The state before them.
    """
    bad_loss = part.first_bad_loss()
    steps = len(part.sizes)
    # Good up to `low`, bad from `high` on. A loss says nothing of steps before it.
    low, high = 0, steps if bad_loss is None else bad_loss + 1
    last: LoggedSteps | None = None
    # Most often the state is still good just before the first bad loss.
    probe = high - 1
    while high - low > 1:
        stretch.write(before)
        run = stretch.again(begin + low, begin + probe)
        if stretch.is_bad(run, before):
            high = probe
        else:
            before, low, last = stretch.read(), probe, run
        probe = (low + high) // 2
    stretch.write(before)
    if last is None:
        return BadStep(begin, before, None)
    every = tuple(column[:low] for column in part.values.every)
    values = ChunkValues(every, last.values.final)
    return BadStep(begin + low, before, stretch.part(begin, begin + low, values))
