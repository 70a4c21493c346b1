"""What a loop asks of the place where its run is kept, and the one that keeps nothing.

The loop says where it is; a home answers what an earlier process has done already,
saves when it is time to, and ends the run where a signal asks for it. It never changes
what is computed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import keras

from ownloop.backends.contract import AbstractProgram
from ownloop.checkpoints import Entry
from ownloop.loop.values import Values
from ownloop.resume.calls import Call
from ownloop.resume.owned import Saved
from ownloop.resume.place import Done, Open
from ownloop.step import Surroundings


class AbstractHome(ABC):
    """A run's home, told of everything in the order in which it happens.

    Law: with or without a home, and however often it saves, the bits are the same.
    """

    @abstractmethod
    def enter_round(self, total: int | None) -> tuple[bool, str | None]:
        """Begins a call of `loop.epochs`; says whether it is to be gone through.

        If not, an earlier process has, and it ended for the reason that is given.
        """

    @abstractmethod
    def leave_round(self, ending: str | None) -> None:
        """Ends a call of `loop.epochs` whose epochs are done, or which was stopped."""

    @abstractmethod
    def break_round(self, ending: str | None) -> None:
        """Ends a call of `loop.epochs` that was left by `break`, or by an exception.

        The two look alike, so nothing is saved: run again, the code comes to the same
        `break`, and after an exception the whole epoch is done. This process does not
        come to it again, so its next round goes on from memory, and saves at its begin.
        """

    @abstractmethod
    def abandon_round(self) -> None:
        """Ends a call of `loop.epochs` in which a step raised, or a signal came.

        The same for whatever `loop.epochs` itself raises.
        """

    @property
    @abstractmethod
    def is_returning(self) -> bool:
        """Whether the code is not back yet where an earlier process has been."""

    @abstractmethod
    def position(self, now: Done) -> Done:
        """Says how far the run is for the user's code, which may not be there yet.

        Args:
            now: How far it is indeed.
        """

    @abstractmethod
    def enter_epoch(self, number: int) -> None:
        """Begins an epoch."""

    @abstractmethod
    def leave_epoch(self) -> None:
        """Ends an epoch whose row is in the history."""

    @abstractmethod
    def enter(self, name: str, step: Callable[..., Any], data: Any) -> Call:
        """Takes note of a call of `train` or `validate`."""

    @abstractmethod
    def enter_single_steps(self) -> None:
        """Takes note of a step on a batch of the user's own, in this epoch.

        Such an epoch is saved at its end only: on its way stands what the script has
        gathered, and the script begins to gather anew.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            SystemExit: The same for SIGTERM.
        """

    @abstractmethod
    def start(self, call: Call) -> None:
        """Takes note that a call begins to run."""

    @abstractmethod
    def skip(self, call: Call) -> None:
        """Takes note that a call is not gone through: an earlier process has."""

    @abstractmethod
    def pause(self, call: Call, where: Callable[[], Open | None]) -> None:
        """Saves if it is time to, between two stretches of steps.

        In the body of another pass it does nothing: the chunk there is not handled.

        Args:
            call: The call under way.
            where: Says where it stands; None: at its begin.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and the run is saved.
            SystemExit: The same for SIGTERM.
        """

    @abstractmethod
    def fail(
        self, call: Call, where: Callable[[], Open | None], error: BaseException
    ) -> None:
        """Saves where a step has raised, and the state is as it was before it.

        Where even that fails, the error that is on its way says so in a note. Where it
        is caught, the rest of the epoch is saved at its end only.
        """

    @abstractmethod
    def drop(self, call: Call) -> None:
        """Takes note that a call ended without a result, such as one without data."""

    @abstractmethod
    def is_interrupted(self, call: Call) -> bool:
        """Whether a signal asks the run to leave this call at the next `pause`."""

    @abstractmethod
    def steps_left(self, step: int) -> int | None:
        """Says how many steps may run before the next save by count."""

    @abstractmethod
    def finish(self, call: Call, values: Values) -> None:
        """Takes note of what a call gave."""

    @abstractmethod
    def claim(
        self,
        step: str,
        shape: str,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None:
        """Gives a step's variables the values that an earlier process left for them.

        Args:
            step: The pass and the step, in words that are the same in every process.
            shape: Of the batches that the program is for.
            program: About to run.
            variables: Its own.
            seen: What the step read when the program was looked for.
        """

    @abstractmethod
    def is_to_build(self, step: str, variables: Sequence[keras.Variable]) -> bool:
        """Whether values wait for variables that a step may build as it runs.

        Args:
            step: As for `claim`.
            variables: What is within its reach now.
        """

    @abstractmethod
    def untouched(self) -> AbstractContextManager[None]:
        """Puts back, behind its block, what a step may change beside variables.

        That is `loop.memory`, and objects with a state of their own.
        """

    @abstractmethod
    def waiting(self) -> Mapping[str, Entry]:
        """Returns the values for variables of the loop's objects that are not there.

        An optimizer that an earlier process has built is not built again before its
        first step.
        """

    @abstractmethod
    def wait(self, entries: Mapping[str, Entry]) -> None:
        """Lets other values wait for such variables."""

    @abstractmethod
    def checkpoints(self) -> list[str]:
        """Returns the names of the checkpoints that are kept, oldest first."""

    @abstractmethod
    def stored(self, name: str) -> Saved | None:
        """Returns what such a checkpoint has of the loop's objects; None: no such one.

        Raises:
            CheckpointError: It is damaged.
        """

    @abstractmethod
    def names(self, variables: Sequence[keras.Variable]) -> list[str]:
        """Returns the names of variables that have one."""

    @abstractmethod
    def print(self, text: str) -> None:
        """Prints a line, unless an earlier process has."""


@final
class Nowhere(AbstractHome):
    """Keeps nothing: a run that lives and ends with its process.

    Example:
        >>> Nowhere().enter_round(10)
        (True, None)
    """

    def enter_round(self, total: int | None) -> tuple[bool, str | None]:
        return True, None

    def leave_round(self, ending: str | None) -> None:
        """There is nothing to keep; the same for all that follows."""

    def break_round(self, ending: str | None) -> None: ...

    def abandon_round(self) -> None: ...

    @property
    def is_returning(self) -> bool:
        return False

    def position(self, now: Done) -> Done:
        return now

    def enter_epoch(self, number: int) -> None: ...

    def leave_epoch(self) -> None: ...

    def enter(self, name: str, step: Callable[..., Any], data: Any) -> Call:
        return Call(0)

    def enter_single_steps(self) -> None: ...

    def start(self, call: Call) -> None: ...

    def skip(self, call: Call) -> None: ...

    def pause(self, call: Call, where: Callable[[], Open | None]) -> None: ...

    def fail(
        self, call: Call, where: Callable[[], Open | None], error: BaseException
    ) -> None: ...

    def drop(self, call: Call) -> None: ...

    def is_interrupted(self, call: Call) -> bool:
        return False

    def steps_left(self, step: int) -> int | None:
        return None

    def finish(self, call: Call, values: Values) -> None: ...

    def claim(
        self,
        step: str,
        shape: str,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None: ...

    def is_to_build(self, step: str, variables: Sequence[keras.Variable]) -> bool:
        return False

    def untouched(self) -> AbstractContextManager[None]:
        return nullcontext()

    def waiting(self) -> Mapping[str, Entry]:
        return {}

    def wait(self, entries: Mapping[str, Entry]) -> None: ...

    def checkpoints(self) -> list[str]:
        return []

    def stored(self, name: str) -> Saved | None:
        return None

    def names(self, variables: Sequence[keras.Variable]) -> list[str]:
        return []

    def print(self, text: str) -> None:
        print(text)
