"""Where a process ends that `check_resume` has begun, and one that it has not.

Owns when it kills itself, and when it saves its run and ends. Which trials there are,
and how their ends are compared, is known by `resume_check.py`.
"""

import json
import os
import signal
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Final, final

_VARIABLE: Final = "OWNLOOP_CHECK_RESUME"
# A system without SIGKILL ends a process at once by the other.
KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)
"""How a process is ended as no program can prevent."""


class AbstractTrial(ABC):
    """Says where a process ends beside the end of its script.

    Law: it ends at a step, not at a time.
    """

    @abstractmethod
    def kill_if_due(self, step: int) -> None:
        """Ends this process as no program can prevent, where it is to be killed."""

    @abstractmethod
    def is_over(self, step: int) -> bool:
        """Whether the run is to be saved, and left for good."""

    @abstractmethod
    def steps_left(self, step: int) -> int | None:
        """Says how many steps may run until it is over; None: any number."""

    @abstractmethod
    def ends_with_round(self, total: int | None) -> bool:
        """Whether it is over with a round of so many epochs."""


@final
class NoTrial(AbstractTrial):
    """A process like any other, which ends with its script.

    Example:
        >>> NoTrial().is_over(1_000_000), NoTrial().steps_left(0)
        (False, None)
    """

    def kill_if_due(self, step: int) -> None: ...

    def is_over(self, step: int) -> bool:
        return False

    def steps_left(self, step: int) -> int | None:
        return None

    def ends_with_round(self, total: int | None) -> bool:
        return False


@final
@dataclass(frozen=True)
class Trial(AbstractTrial):
    """What one child process does.

    Attributes:
        folder: Where it keeps its run.
        steps: After how many steps it ends.
        kill: At which step it kills itself; None: it lives to its end.

    Example:
        >>> trial = Trial("cut", steps=200)
        >>> trial.steps_left(150), trial.steps_left(200), trial.is_over(200)
        (50, None, True)
    """

    folder: str
    steps: int
    kill: int | None = None

    @classmethod
    def of_this_process(cls) -> "Trial | None":
        """Returns the trial that this process is, if it is one."""
        words = os.environ.get(_VARIABLE)
        return None if words is None else cls(**json.loads(words))

    def environment(self) -> dict[str, str]:
        """Returns the environment in which a child is this trial."""
        return os.environ | {_VARIABLE: json.dumps(asdict(self))}

    def kill_if_due(self, step: int) -> None:
        if self.kill is not None and step >= self.kill:
            os.kill(os.getpid(), KILL)

    def is_over(self, step: int) -> bool:
        return step >= self.steps

    def steps_left(self, step: int) -> int | None:
        return None if self.is_over(step) else self.steps - step

    def ends_with_round(self, total: int | None) -> bool:
        return total is not None  # What comes after the loop is not tried.
