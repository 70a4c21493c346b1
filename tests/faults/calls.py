"""SIGKILL at each call of the file system that a whole run makes, or as it is saved.

Of calls, all that change its lock, identity, log, history and checkpoints. A call of
SQLite is one point, at its begin; each write comes in two halves. Nothing is compiled
in such a run, since what compilers write is not its own. Of saves, the moments before
and after each step of one: so it goes on from each checkpoint that it writes.
"""

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from faults.attempts import Attempt
from faults.ends import apart
from faults.server import Server


@final
@dataclass(frozen=True)
class CallCount:
    """What came of it.

    Attributes:
        total: how many calls the run makes, or moments of saving it has.
        points: at how many of them it was killed.
        identical: after how many it went on to the same end, files included. Near the
            last one a run may end before it is killed, as not all make as many calls.
        errors: what came instead, with the number of the call or moment.
    """

    total: int
    points: int
    identical: int
    errors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return self.identical == self.points > 0


def count_calls(
    servers: Sequence[Server],
    base: Path,
    attempt: Attempt,
    *,
    stride: int,
    kind: str = "call",
) -> CallCount:
    """Kill a run at every `stride`-th call, each time a new one, and go on with it.

    Args:
        servers: as many runs are killed side by side.
        base: a folder for them.
        attempt: at the run, in whichever folder.
        stride: how many calls further the next one is killed.
        kind: "call", or "save" for moments of saving.
    """
    # Each save is waited for, so that a moment has the same ones behind it each time.
    attempt = replace(attempt, settled=kind == "save")
    whole = servers[0].attempt(
        replace(attempt, folder=str(base / "calls-whole"), kind=kind)
    )
    shutil.rmtree(base / "calls-whole", ignore_errors=True)
    if not whole.done:
        raise AssertionError(f"{whole.error}\n{whole.output}")
    total = (whole.counts or {})[kind]
    points = iter(range(1, total + 1, stride))
    lock = threading.Lock()

    def work(place: int) -> list[str]:
        found = []
        while True:
            with lock:
                at = next(points, None)
            if at is None:
                return found
            folder = base / f"calls-{place}"
            found.append(_look(servers[place], folder, at))
            shutil.rmtree(folder, ignore_errors=True)

    def _look(server: Server, folder: Path, at: int) -> str:
        here = replace(attempt, folder=str(folder))
        killed = server.attempt(replace(here, kind=kind, at=at))
        outcome = server.attempt(here) if killed.killed else killed
        names = apart(whole, outcome)
        if outcome.done and not names:
            return ""
        return f"{kind} {at}: {outcome.error or ', '.join(names)}"

    with ThreadPoolExecutor(len(servers)) as pool:
        found = [f for some in pool.map(work, range(len(servers))) for f in some]
    errors = tuple(error for error in found if error)
    return CallCount(total, len(found), len(found) - len(errors), errors)
