"""When to look and when to save: frozen values, functions of the count of batches.

This file owns the words in which a user says *when*, some of them in seconds. It never
reads the time of day, never counts anything itself and never decides what happens at a
look. Two equal values are interchangeable, and a value may be the key of a dict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Final, TypeAlias, final, overload

from ownloop.errors import LoopError
from ownloop.shown import shown
from ownloop.whole import whole_number

EveryLike: TypeAlias = "int | tuple[int, ...] | Every | None"

_EXPECTED: Final = "`every` takes whole numbers of batches from 1 up"
_REMEDY: Final = (
    "Write every=300, every=(300, 1000), every=ol.every(300, start=1), "
    "or every=None to look only at the end of the pass."
)


@final
@dataclass(frozen=True)
class Every:
    """The batches of a pass after which the user's Python gets control.

    Users make one with `ownloop.every`. With `steps=(n,)` these are the batches
    `start`, `start + n`, `start + 2 n` and so on, counted from the pass's first
    batch; no batch at all is nothing to look at, so 0 is left out. Several steps are
    several such rows, and no steps means that there is no look before the end.

    Example:
        >>> Every((300,)).next_look(450)
        150
        >>> Every((1000, 300)) == Every((300, 1000))
        True
    """

    steps: tuple[int, ...] = ()
    start: int = 0

    def __post_init__(self) -> None:
        steps = {_whole(step, least=1) for step in self.steps}
        # One spelling per meaning, so that equal meanings are equal values.
        object.__setattr__(self, "steps", tuple(sorted(steps)))
        object.__setattr__(self, "start", _whole(self.start, least=0))

    @classmethod
    def of(cls, value: EveryLike) -> Every:
        """Reads what a user may write for `every=`.

        Raises:
            LoopError: If it is not a whole number from 1 up, a tuple of such numbers,
                the result of `every(...)`, or None.

        Example:
            >>> Every.of((300, 1000)).steps
            (300, 1000)
            >>> Every.of(None).next_look(0) is None
            True
        """
        if isinstance(value, Every):
            return value
        if value is None:
            return cls()
        if isinstance(value, tuple):
            if not value:
                raise _refusal(value)
            return cls(value)
        return cls((value,))

    def next_look(self, done: int) -> int | None:
        """Says how many batches to go until the next look.

        The loop runs exactly this many batches as one compiled chunk, unless the pass
        ends before.

        Args:
            done: Batches done in this pass, 0 before the first.

        Returns:
            A number from 1 up, or None when no look is left before the end.

        Example:
            >>> textbook = Every((300,), start=1)
            >>> textbook.next_look(0), textbook.next_look(1), textbook.next_look(301)
            (1, 300, 300)
        """
        if not self.steps:
            return None
        if done < self.start:
            return self.start - done
        return min(step - (done - self.start) % step for step in self.steps)


@final
@dataclass(frozen=True)
class Duration:
    """A length of time; users make one with `ownloop.minutes`."""

    seconds: float


def minutes(number: float) -> Duration:
    """Says how long, for `Loop(save=every(minutes(5)))`.

    Args:
        number: Minutes, above 0; `1 / 60` is a second.

    Raises:
        LoopError: If it is no finite number above 0.

    Example:
        >>> minutes(5)
        Duration(seconds=300.0)
    """
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    # Compared from both sides, since NaN is neither above 0 nor below.
    if not is_number or not 0 < number < math.inf:
        raise LoopError(
            f"`minutes` got {shown(number)}. Expected a finite number above 0. Write, "
            "for example, minutes(5), or save=None to save at the ends of epochs only."
        )
    return Duration(60.0 * float(number))


@final
@dataclass(frozen=True)
class SaveEvery:
    """When a run is saved beside the ends of its epochs: after steps, or after a time.

    Attributes:
        steps: After every so many steps of the run; None: never by their count.
        seconds: After so much time; None: never by the clock. When a run is saved
            changes no number of it.
    """

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, value: int | Every | Duration | SaveEvery | None) -> SaveEvery:
        """Reads what a user may write for `save=`.

        Raises:
            LoopError: If it is no number of steps, `every(...)` or a duration.

        Example:
            >>> SaveEvery.of(every(minutes(5))), SaveEvery.of(1000)
            (SaveEvery(steps=None, seconds=300.0), SaveEvery(steps=1000, seconds=None))
        """
        if value is None:
            return cls()
        if isinstance(value, SaveEvery):
            return value
        if isinstance(value, Duration):
            return cls(seconds=value.seconds)
        if isinstance(value, Every) and len(value.steps) == 1 and value.start == 0:
            return cls(steps=value.steps[0])
        number = whole_number(value)
        if number is not None and number >= 1:
            return cls(steps=number)
        raise LoopError(
            f"`save` is {shown(value)}. Expected one number of steps from 1 up, "
            "without a `start`, or a time. "
            "Write save=every(minutes(5)), save=every(1000), or save=None to save at "
            "the ends of epochs only."
        )

    def steps_left(self, step: int) -> int | None:
        """Says how many steps to go until the next save by count; None: no such save.

        Example:
            >>> SaveEvery(steps=1000).steps_left(1700)
            300
        """
        return None if self.steps is None else self.steps - step % self.steps


@overload
def every(step: Duration) -> SaveEvery: ...
@overload
def every(step: int, *more: int, start: int = 0) -> Every: ...
def every(step: int | Duration, *more: int, start: int = 0) -> Every | SaveEvery:
    """Says when to look: after every `step` batches, and every one of `more`.

    With a duration it says when to save: `Loop(save=every(minutes(5)))`.

    A plain `every=300` is enough where the looks fall on 300, 600, 900. Textbooks
    that print "if index % 300 == 0" look after the first batch, the 301st, the 601st:
    that is `start=1`.

    Args:
        step: Batches between two looks.
        more: Further distances, each with looks of its own.
        start: The batch, counted from 1, of the first look; with 0 the first look
            comes after `step` batches.

    Raises:
        LoopError: If a number is not whole or too small.

    Example:
        >>> every(300, start=1)
        Every(steps=(300,), start=1)
        >>> every(300, 1000).next_look(900)
        100
    """
    if isinstance(step, Duration):
        if more or start:
            raise LoopError(
                f"`every` got {step!r} together with {shown(more or start)}. Expected "
                "a duration alone, since it says when to save. Write every(minutes(5))."
            )
        return SaveEvery(seconds=step.seconds)
    return Every((step, *more), start=start)


def _whole(value: object, *, least: int) -> int:
    number = whole_number(value)
    if number is None or number < least:
        raise _refusal(value)
    return number


def _refusal(value: object) -> LoopError:
    got = f"Got {shown(value)} of type {type(value).__name__}"
    return LoopError(f"{got}; {_EXPECTED} (start: from 0 up). {_REMEDY}")
