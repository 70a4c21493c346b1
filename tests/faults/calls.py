"""SIGKILL at each call of the file system that a whole run makes.

The run is that of `tiny`: its lock, identity, log, history and checkpoints. A call of
SQLite is one point, at its begin; each write comes in two halves.
"""

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

from faults.attempts import Attempt, differing
from faults.server import Server


@final
@dataclass(frozen=True)
class CallCount:
    """What came of it.

    Attributes:
        total: how many calls the run makes.
        points: at how many of them it was killed.
        identical: after how many it went on to the same end, files included.
        errors: what came instead, with the number of the call.
    """

    total: int
    points: int
    identical: int
    errors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return self.identical == self.points > 0


def count_calls(servers: Sequence[Server], base: Path, *, stride: int) -> CallCount:
    """Kill a run at every `stride`-th call, each time a new one, and go on with it."""
    whole = servers[0].attempt(Attempt(str(base / "whole"), job="tiny"))
    if not whole.done:
        raise AssertionError(f"{whole.error}\n{whole.output}")
    total = (whole.counts or {})["call"]
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
        attempt = Attempt(str(folder), job="tiny", kind="call", at=at)
        killed = server.attempt(attempt)
        if not killed.killed:
            return f"call {at} was not reached: {killed.error}"
        outcome = server.attempt(Attempt(str(folder), job="tiny"))
        # Killed between the end of an epoch and that of its round, it need not save
        # again.
        names = [n for n in differing(whole, outcome) if n != "checkpoint meta place"]
        if outcome.done and not names:
            return ""
        return f"call {at}: {outcome.error or ', '.join(names)}"

    with ThreadPoolExecutor(len(servers)) as pool:
        found = [f for some in pool.map(work, range(len(servers))) for f in some]
    errors = tuple(error for error in found if error)
    return CallCount(total, len(found), len(found) - len(errors), errors)
