"""What a run is: where it stands, what it has seen, and the state that it owns.

The shared ground of `Loop`, `Epoch` and `Pass`. It decides nothing about time.
`epoch` counts the finished ones; `current` is the number of the one under way. `plan`
and `kinds` say, by the name of a pass, what it runs, and as which kinds of programs.
"""

import contextlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import Placed
from ownloop.data import (
    AbstractFeed,
    Batches,
    FromEpoch,
    NoDataFeed,
    ResidentFeed,
    StreamFeed,
    is_mapped,
)
from ownloop.data.feed import check_steps
from ownloop.errors import LoopError
from ownloop.events import Event, Failed, Notice, Observer
from ownloop.guards import Where
from ownloop.history import History
from ownloop.loop.guard import Guard, PassGuard
from ownloop.loop.nonfinite import Policy
from ownloop.loop.owned import variables_of
from ownloop.loop.programs import Programs, Step
from ownloop.loop.runner import Runner


@final
class Run:
    """One run of a loop: its position, its history, its programs and its data."""

    def __init__(
        self,
        objects: Mapping[str, Any],
        *,
        compiled: bool,
        observers: Sequence[Observer],
        nonfinite: Policy,
    ) -> None:
        self.objects = dict(objects)
        self.history = History()
        self.step = 0
        self.epoch = 0
        self.current: int | None = None
        self.epochs_total: int | None = None
        self.stop_reason: str | None = None
        self.failed: BaseException | None = None
        self.observers = list(observers)
        self.programs = Programs(compiled=compiled, say=self.say)
        self.guard = Guard(nonfinite, say=self.say, stop=self.stop)
        self.plan: dict[str, list[str]] = {}
        self.kinds: dict[str, tuple[tuple[str, str], ...]] = {}
        self._placed: weakref.WeakKeyDictionary[Batches, Placed] = (
            weakref.WeakKeyDictionary()
        )
        self._continued: dict[int, tuple[Any, AbstractFeed]] = {}

    def tell(self, event: Event) -> None:
        """Hands an event to each observer."""
        for observer in self.observers:
            observer(event)

    def say(self, text: str) -> None:
        """Tells a person something in one sentence."""
        self.tell(Notice(text))

    def stop(self, reason: str) -> None:
        """Ends the pass after this chunk, and the run after this epoch's body."""
        self.stop_reason = reason

    def fail(self, error: BaseException, step: str, name: str, batch: int) -> None:
        """Says on an exception where it happened; the exception itself stays as it is.

        The steps that ran together with the one that failed do not count.
        """
        where = f"epoch {self.current}" if self.current else "outside of any epoch"
        # An exception that takes no notes is the user's, and more important than ours.
        with contextlib.suppress(Exception):
            error.add_note(
                f"In {step}: {where}, pass {name!r}, after batch {batch} of the pass "
                f"and step {self.step} of the run. The state is as it was there."
            )
        self.failed = error
        self.tell(Failed(error=error, step=self.step, epoch=self.current or self.epoch))

    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables of the objects that the user named."""
        return tuple(v for entry in self.objects.values() for v in variables_of(entry))

    def runner(
        self,
        step: Step,
        feed: AbstractFeed,
        *,
        where: Callable[[], Where] | None = None,
        keep: bool = False,
    ) -> Runner:
        """Makes what runs a step over a feed.

        Args:
            step: The user's step.
            feed: Where its batches come from.
            where: Says which step of training was the last; with it, steps that go
                wrong are kept out of the state.
            keep: Whether everything that the pass touches is put back at its end.
        """
        check_step(step)
        guard = None if where is None else PassGuard(self.guard, where, feed.resident)
        return Runner(
            step,
            feed,
            programs=self.programs,
            data=self._place(feed),
            known=self.variables,
            guard=guard,
            keep=keep,
        )

    def feed(self, data: Any, *, steps: int | None, epoch: int) -> AbstractFeed:
        """Opens data for a pass, or goes on where a pass of `steps` left them."""
        float_type = keras.config.floatx()
        if data is None:
            if steps is None:
                raise LoopError(
                    "A pass without data has no end: `steps` is None. A step that "
                    "takes no batch needs a number of steps. Pass, for example, "
                    "`steps=1000`."
                )
            return NoDataFeed(steps=steps)
        if steps is None:
            return _open(data, float_type, epoch=max(epoch, 1))
        if id(data) in self._continued:
            check_steps(steps)
            return self._continued[id(data)][1]
        feed = _open(data, float_type, epoch=1, steps=steps)
        # The data are kept too, so that their identity stays theirs.
        self._continued[id(data)] = (data, feed)
        return feed

    def is_continued(self, feed: AbstractFeed) -> bool:
        """Whether passes of `steps` share this feed: each begins it, none ends it."""
        return any(feed is kept for _, kept in self._continued.values())

    def batches(self, data: Any, steps: int | None) -> int | None:
        """How many batches a pass will have, where the data say so."""
        if steps is not None:
            return steps
        try:
            count = len(data)
        except TypeError:
            return None
        return int(count) if count >= 0 else None

    def _place(self, feed: AbstractFeed) -> Placed | None:
        if not isinstance(feed, ResidentFeed):
            return None
        batches = feed.batches
        if batches not in self._placed:
            self._placed[batches] = backends.current().place(feed.resident)
        return self._placed[batches]


def _open(
    data: Any, float_type: str, *, epoch: int, steps: int | None = None
) -> AbstractFeed:
    """Opens arrays by their row numbers, anything else as a stream."""
    if isinstance(data, Batches):
        if not is_mapped(data):
            return ResidentFeed(data, float_type=float_type, epoch=epoch, steps=steps)
        data = FromEpoch(data, epoch=epoch)
    return StreamFeed(data, float_type=float_type, steps=steps)


def check_step(step: Any) -> None:
    """Refuses a step that cannot be called.

    Raises:
        LoopError: It is no function; perhaps the result of having called one.

    Example:
        >>> check_step(lambda x: x)
    """
    if not callable(step):
        raise LoopError(
            f"The step is {step!r}, of type {type(step).__name__}. A step is a "
            "function of one batch. Pass the function itself, without calling it."
        )
