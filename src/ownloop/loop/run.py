"""What a run is: where it stands, what it has seen, and the state that it owns.

The shared ground of `Loop`, `Epoch` and `Pass`. It decides nothing about time.
`epoch` counts the finished ones; `current` is the number of the one under way, and
`under_way` has the places of its passes that are, by identity, the outermost first.
`plan` and `kinds` say, by the name of a pass, what it runs, and as which kinds of
programs.
`replay` is set where this process only replays a step of an earlier one.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, final

import keras

from ownloop.backends.scope import open_scope
from ownloop.data import AbstractFeed
from ownloop.errors import LoopError
from ownloop.events import Event, Failed, Notice, Observer
from ownloop.folder import ReplayRequest
from ownloop.guards import Where
from ownloop.history import History
from ownloop.loop.claims import Claims
from ownloop.loop.guard import Guard, PassGuard
from ownloop.loop.home import AbstractHome, Nowhere
from ownloop.loop.nonfinite import Policy
from ownloop.loop.programs import Programs
from ownloop.loop.replaying import replayer
from ownloop.loop.runner import Runner
from ownloop.loop.shelf import Step, step_name
from ownloop.loop.supply import Supply
from ownloop.resume import owned
from ownloop.resume.calls import Call
from ownloop.resume.owned import variables_of
from ownloop.resume.place import Done, Open
from ownloop.shown import shown


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
        self.compiled = compiled
        self.history = History()
        self.step = 0
        self.epoch = 0
        self.current: int | None = None
        self.under_way: dict[int, str] = {}
        self.epochs_total: int | None = None
        self.stop_reason: str | None = None
        self.failed: BaseException | None = None
        self.observers = list(observers)
        self.programs = Programs(
            compiled=compiled, say=self.say, epoch=lambda: self.current
        )
        self.guard = Guard(nonfinite, say=self.say, stop=self.stop)
        self.plan: dict[str, list[str]] = {}
        self.kinds: dict[str, tuple[tuple[str, str], ...]] = {}
        self.data = Supply(self.say)
        self.memory: dict[str, Any] = {}
        self.saved: dict[str, owned.Saved] = {}
        self.home: AbstractHome = Nowhere()
        self.replay: ReplayRequest | None = None

    @property
    def done(self) -> Done:
        """How many epochs and steps are done."""
        return Done(self.epoch, self.step)

    @property
    def position(self) -> Done:
        """How many are done for the user's code, which may be on its way back."""
        return self.home.position(self.done)

    @property
    def body(self) -> str:
        """The place of the pass in whose body the user's code is; else empty.

        The outermost one: when that is over, its body is not gone through again.
        """
        return next(iter(self.under_way.values()), "")

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
        failed = Failed(error=error, step=self.step, epoch=self.current or self.epoch)
        try:
            self.tell(failed)
        except Exception as other:
            # The error that led here is the one that they must see.
            with contextlib.suppress(Exception):
                error.add_note(f"An observer failed when it was told: {other!r}")

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Keeps what is raised within from being taken for a `break` of the user's.

        A script that goes on has caught it, and a `break` after that is a `break`.
        """
        self.failed = None
        try:
            yield
        except BaseException as error:
            self.failed = error
            raise

    def pause(self, call: Call, where: Callable[[], Open | None]) -> None:
        """Lets the run be saved; see `AbstractHome.pause`."""
        with self.refusals():
            self.home.pause(call, where)

    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables of the objects that the user named."""
        return tuple(v for entry in self.objects.values() for v in variables_of(entry))

    def runner(
        self,
        step: Step,
        feed: AbstractFeed,
        *,
        name: str,
        where: Callable[[], Where] | None = None,
        keep: bool = False,
    ) -> Runner:
        """Makes what runs a step over a feed.

        Args:
            step: The user's step.
            feed: Where its batches come from.
            name: The pass's name.
            where: Says which step of training was the last; with it, steps that go
                wrong are kept out of the state.
            keep: Whether everything that the pass touches is put back at its end.
        """
        check_step(step)
        _check_no_scope()
        claims = Claims(self.home, f"{name}: {step_name(step)}", self.variables)
        guard = None
        if where is not None:
            asked = self.replay
            examine = None if asked is None else replayer(asked, step, name)
            guard = PassGuard(self.guard, where, feed.resident, examine)
        return Runner(
            step,
            feed,
            programs=self.programs,
            data=self.data.place(feed),
            claims=claims,
            guard=guard,
            keep=keep,
        )


def check_step(step: Any) -> None:
    """Refuses a step that cannot be called.

    Raises:
        LoopError: It is no function; perhaps the result of having called one.

    Example:
        >>> check_step(lambda x: x)
    """
    if not callable(step):
        raise LoopError(
            f"The step is {shown(step)}, of type {type(step).__name__}. A step is a "
            "function of one batch. Pass the function itself, without calling it."
        )


def _check_no_scope() -> None:
    """Refuses steps where a scope serves other values than the variables' own."""
    scope = open_scope()
    if scope is not None:
        raise LoopError(
            f"Steps were about to run inside of a {type(scope).__name__} that is open. "
            "They work on the variables themselves, and would pass by the values that "
            "it holds for them. Expected no open scope. Close it first; to try other "
            "weights, assign them, validate, and assign the old ones again."
        )
