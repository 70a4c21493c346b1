"""A whole run on a disk that is full or broken: no loss without a word.

The run is that of `tiny`. Each call that changes its folder fails in turn, once or with
all that follow. It must come to its end with all that a run on a good disk gives, or
with an error that names the file and says what to do, and in time; and begun again
on a disk that works, it must end as if nothing had been.
"""

import itertools
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server

PATIENCE_SECONDS = 60.0
END = ""
ENDINGS = (END, "break", "error in the body", "error in a step")
"""How the run ends where the disk works; see `tiny`, which imports a framework."""

SURVIVED = ("survived", "")
_COARSER = 5
_LARGEST_FILE = 160 * 2**10
_PIECE = 512


@final
@dataclass(frozen=True)
class BrokenCount:
    """What came of it.

    Attributes:
        calls: how many calls the run makes that change its folder.
        points: failures: a call, an errno, once or sticky, and how the run ends; or a
            limit on the size of files.
        survived: those after which the run came to its end with all that it should.
        told: those after which it ended with an error with the file and what to do.
        shown: those in which the user's code left the loop by `break`, where Python
            closes a generator: the error was shown, and could not be raised.
        wrong: how the others ended: with less than all, which nobody was told; with an
            error that does not say what to do; not at all; or in place of the user's
            own error.
        went_on: those after which the run, begun again, ended as it should.
        stuck: what came of the others when they were begun again.
    """

    calls: int
    points: int
    survived: int
    told: int
    shown: int
    went_on: int
    wrong: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        right = self.survived + self.told + self.shown
        return right == self.went_on == self.points > 0


@final
@dataclass(frozen=True)
class Point:
    """One way for a disk to fail: the settings of `breaking`, and how the run ends."""

    settings: Mapping[str, Any]
    ending: str = END

    def __str__(self) -> str:
        words = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{words}, {self.ending}".removesuffix(", ")


def count_broken(servers: Sequence[Server], base: Path, *, stride: int) -> BrokenCount:
    """Let a run fail at every `stride`-th call, each time a new one, and go on."""
    wholes = {ending: whole_run(servers[0], base, ending) for ending in ENDINGS}
    calls = (wholes[END].counts or {})["call"]
    points = iter(_points(calls, stride))
    lock = threading.Lock()

    def work(place: int) -> list[tuple[str, str, str]]:
        found = []
        while True:
            with lock:
                point = next(points, None)
            if point is None:
                return found
            folder = base / f"broken-{place}"
            found.append(look(servers[place], folder, point, wholes))
            shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(len(servers)) as pool:
        found = [f for some in pool.map(work, range(len(servers))) for f in some]
    return count_of(calls, found)


def count_of(calls: int, found: Sequence[tuple[str, str, str]]) -> BrokenCount:
    """Count what `look` has found."""
    return BrokenCount(
        calls,
        points=len(found),
        survived=sum(came == "survived" for came, _, _ in found),
        told=sum(came == "told" for came, _, _ in found),
        shown=sum(came == "shown" for came, _, _ in found),
        went_on=sum(not stuck for _, _, stuck in found),
        wrong=tuple(words for came, words, _ in found if came == "wrong"),
        stuck=tuple(stuck for _, _, stuck in found if stuck),
    )


def _points(calls: int, stride: int) -> Iterable[Point]:
    ways = itertools.product(("ENOSPC", "EIO"), (False, True), ENDINGS)
    for start, (error, sticky, ending) in enumerate(ways):
        is_fine = error == "ENOSPC" and ending == END
        each = stride if is_fine else stride * _COARSER
        # Not all at the same calls.
        for at in range(1 + start % each, calls + 1, each):
            yield Point({"error": error, "at": at, "sticky": sticky}, ending)
    for limit in range(0, _LARGEST_FILE, _PIECE * stride):
        yield Point({"limit": limit})


def whole_run(server: Server, base: Path, ending: str) -> Outcome:
    """Give the outcome of a run on a good disk."""
    folder = base / f"whole-{ENDINGS.index(ending)}"
    settings = {"error": "ENOSPC", "at": 0, "sticky": False}
    outcome = server.attempt(_attempt(folder, Point(settings, ending)))
    if not outcome.done and "UserError" not in outcome.error:
        raise AssertionError(f"{outcome.error}\n{outcome.output}")
    return outcome


def _attempt(folder: Path, point: Point) -> Attempt:
    return Attempt(
        str(folder),
        job="broken",
        settings=point.settings,
        after=PATIENCE_SECONDS,
        environment={"TINY_ENDING": point.ending},
    )


def look(
    server: Server,
    folder: Path,
    point: Point,
    wholes: Mapping[str, Outcome],
    mend: Callable[[], object] = lambda: None,
) -> tuple[str, str, str]:
    """Give what came, more words of it, and what came when it was begun again.

    Args:
        server: where it is run.
        folder: a new one.
        point: how the disk fails.
        wholes: what comes of it on a good disk, by how it ends.
        mend: makes the disk a good one.
    """
    outcome = server.attempt(_attempt(folder, point))
    came, words = _judge(outcome, wholes[point.ending], folder, point.ending)
    mend()
    healthy = Point({"error": "ENOSPC", "at": 0, "sticky": False})
    again = server.attempt(_attempt(folder, healthy))
    names = _differing(wholes[END], again)
    stuck = again.error or ", ".join(names)
    return came, f"{point}: {words}", stuck and f"{point}: {stuck}"


def _judge(
    outcome: Outcome, whole: Outcome, folder: Path, ending: str
) -> tuple[str, str]:
    if outcome.killed:
        return "wrong", "it hangs"
    if outcome.done:
        names = _differing(whole, outcome)
        if names and ending == "break" and _is_told(outcome.output, folder):
            return "shown", ""
        return ("wrong", f"in silence: {', '.join(names)}") if names else SURVIVED
    if "UserError" in outcome.output:
        is_theirs = outcome.error.startswith("UserError")
        return SURVIVED if is_theirs else ("wrong", f"in place of: {outcome.error}")
    if _is_told(outcome.error, folder):
        return "told", ""
    return "wrong", outcome.error or f"exit code {outcome.status}"


def _is_told(text: str, folder: Path) -> bool:
    """Whether a text holds an error of ours: what happened where, and what to do."""
    where = re.escape(str(folder))
    return bool(re.search(rf"(Folder|Checkpoint)Error: .*{where}.*\. Expected ", text))


def _differing(whole: Outcome, outcome: Outcome) -> list[str]:
    # Where a run that was broken off goes on at its very end, it need not save again.
    return [n for n in differing(whole, outcome) if n != "checkpoint meta place"]
