"""One attempt at a run, in a process of its own: what is asked of it, and what came.

Knows no framework: the process that counts uses none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final


@final
@dataclass(frozen=True)
class Attempt:
    """What a child is to do.

    Attributes:
        folder: the run's.
        job: "job", "wanderer", "tiny", "broken" (that one on a disk that fails), or
            "items", which only names what can be forgotten, and of which job.
        settings: named arguments of the job's `play`.
        kind: of the moment in which something happens; see `moments`.
        at: in which one of that kind; 0 for none.
        signal: what happens there: SIGKILL, or a signal that can be heard.
        times: how often it is sent.
        after: seconds after which the child is killed from outside; None for never.
        forget: the item of the state that this process does not bring back.
        environment: what is set beside what is there.
        processors: how many it may use; None for all.
        settled: whether each save is on the disk before the run goes on, so that what
            has been saved by a moment is not left to the clock.
    """

    folder: str
    job: str = "job"
    settings: Mapping[str, Any] | None = None
    kind: str = "any"
    at: int = 0
    signal: str = "SIGKILL"
    times: int = 1
    after: float | None = None
    forget: str | None = None
    environment: Mapping[str, str] | None = None
    processors: int | None = None
    settled: bool = False


@final
@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        status: the exit code; negative for the number of a signal that ended it.
        seconds: how long it took.
        latency: seconds from the first signal to the end, where one was sent.
        listening: whether the loop listened when it was sent.
        asked: the step of the run then, if an observer had been told of one.
        step: the latest step of the run that an observer was told of.
        single: whether it left in an `epoch.step`, where nothing can be saved.
        items: what `Digests` holds, if it came to its end.
        notices: so.
        counts: how many moments of each kind there were.
        error: the type and text of an exception that ended it.
        output: the end of what it wrote.
    """

    status: int
    seconds: float
    latency: float | None = None
    listening: bool = False
    asked: int | None = None
    step: int | None = None
    single: bool = False
    items: Mapping[str, str] | None = None
    notices: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None
    error: str = ""
    output: str = ""

    @property
    def done(self) -> bool:
        """Whether the run came to its end."""
        return self.status == 0

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -9


def differing(expected: Outcome, found: Outcome) -> list[str]:
    """Name the items in which two runs that came to their ends differ."""
    before, now = expected.items or {}, found.items or {}
    names = dict.fromkeys([*before, *now])
    return [name for name in names if before.get(name) != now.get(name)]
