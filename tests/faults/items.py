"""Whether the harness would notice: runs that go on with one item of the state lost.

What can be lost is listed in `forgotten`. An item that is lost and not missed in any
of some places means that the job does not need it, or that nobody does.
"""

import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server

PLACES = (("step", 44), ("save", 32), ("step", 28), ("step", 70))
"""Kinds of moments, and which: in a chunk half done, in the stream, in each round."""

ABSENT = "the checkpoint has no such tensor"


@final
@dataclass(frozen=True)
class ItemCount:
    """What came of it.

    Attributes:
        items: how many there are on this backend.
        missed: how many were missed: the run ended otherwise, or with an error.
        survivors: the others.
    """

    items: int
    missed: int
    survivors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return self.missed == self.items > 0


def count_items(
    servers: Sequence[Server],
    base: Path,
    expected: Outcome,
    settings: Mapping[str, Any],
    only: Sequence[str] = (),
) -> ItemCount:
    """Lose one item after the other.

    Args:
        servers: as many are lost side by side.
        base: a folder for the runs.
        expected: of a run that nobody has killed, with the same settings.
        settings: of the job.
        only: these items; all, if none is named.
    """
    names = list(only) or list((servers[0].attempt(Attempt("", job="items"))).items)
    for kind, at in PLACES:
        start = base / f"start-{kind}-{at}"
        shutil.rmtree(start, ignore_errors=True)
        attempt = Attempt(str(start), settings=settings, kind=kind, at=at)
        killed = servers[0].attempt(attempt)
        if not killed.killed:
            raise AssertionError(f"{killed.error}\n{killed.output}")
    rest, lock = iter(names), threading.Lock()

    def work(server: Server, folder: Path) -> list[tuple[str, str]]:
        found = []
        while True:
            with lock:
                name = next(rest, None)
            if name is None:
                return found
            found.append((name, _lose(server, base, folder, name)))

    def _lose(server: Server, base: Path, folder: Path, name: str) -> str:
        for kind, at in PLACES:
            shutil.rmtree(folder, ignore_errors=True)
            attempt = Attempt(str(folder), settings=settings, forget=name)
            if name.startswith("saved before"):
                # A change of what is written: another process goes on.
                killed = Attempt(
                    str(folder), settings=settings, forget=name, kind=kind, at=at
                )
                server.attempt(killed)
                attempt = Attempt(str(folder), settings=settings)
            else:
                shutil.copytree(base / f"start-{kind}-{at}", folder)
            outcome = server.attempt(attempt)
            if ABSENT in outcome.error:
                return "absent"
            if not outcome.done or differing(expected, outcome):
                return "missed"
        return "survived"

    with ThreadPoolExecutor(len(servers)) as pool:
        folders = [base / f"lost-{i}" for i in range(len(servers))]
        found = [f for some in pool.map(work, servers, folders) for f in some]
    there = [(name, came) for name, came in found if came != "absent"]
    survivors = tuple(name for name, came in there if came == "survived")
    return ItemCount(len(there), len(there) - len(survivors), survivors)
