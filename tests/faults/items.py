"""Whether the harness would notice: runs that go on with one item of the state lost.

What can be lost is listed in `forgotten`. An item that is lost and not missed in any
of some places means that the job does not need it, or that nobody does.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server

Place = tuple[str, int, str]

PLACES: tuple[Place, ...] = (
    ("step", 44, "SIGKILL"),  # in a chunk that is half done
    ("history", 20, "SIGKILL"),  # the history is written, and its checkpoint is not
    ("step", 28, "SIGKILL"),  # in the stream
    ("step", 70, "SIGKILL"),  # in the second round
    ("step", 55, "SIGTERM"),  # in an epoch after which the run is to stop
)
"""Where runs of `job` are ended: a kind of moment, which, and the signal."""

WANDERED: tuple[Place, ...] = (
    ("step", 118, "SIGKILL"),  # after a round that was left, before the next saves
    ("step", 37, "SIGKILL"),  # after passes with a body, and one that was left
    ("step", 85, "SIGKILL"),  # in a chunk that is half done, with another optimizer
    # Where a body holds lists; by its step, since the clock decides how many moments
    # it takes to come there, and few of them will do.
    ("reached", 20, "SIGKILL"),
    ("step", 140, "SIGKILL"),  # in the second round
    ("step", 190, "SIGKILL"),  # in the last epoch of the last one
)
"""Where those of `wanderer` are."""

OF_LAYERS = (
    "the trainable weights",
    "the statistics of the normalisation",
    "the seeds of the model's layers",
    "the seed of the augmentation",
)
"""What is a matter of the network, and is lost with each of them."""

ABSENT = "the checkpoint has no such tensor"


@final
@dataclass(frozen=True)
class ItemCount:
    """What came of it.

    Attributes:
        items: how many there are on this backend.
        missed: how many were missed: the run ended otherwise, or with an error.
        survivors: the others.
        unharmed: from how many of the places a run that loses nothing ends the same;
            it must be all, or what is missed proves nothing.
        places: how many there are.
        harmed: of the others: the place, and what differs or went wrong.
    """

    items: int
    missed: int
    survivors: tuple[str, ...] = ()
    unharmed: int = 0
    places: int = 0
    harmed: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        is_unharmed = self.unharmed == self.places > 0
        return self.missed == self.items > 0 and is_unharmed


def count_items(
    servers: Sequence[Server],
    base: Path,
    expected: Outcome,
    attempt: Attempt,
    *,
    places: Sequence[Place],
    compare: Callable[[Outcome, Outcome], list[str]] = differing,
    only: Sequence[str] = (),
    stride: int = 1,
) -> ItemCount:
    """Lose one item after the other.

    Args:
        servers: as many are lost side by side.
        base: a folder for the runs.
        expected: of a run that nobody has killed, with the same settings.
        attempt: at such a run, in whichever folder.
        places: where it is ended.
        compare: names the items in which two runs differ.
        only: these items; all that its job needs, if none is named.
        stride: each so-many-th of them, beginning with the first.
    """
    jobs = servers[0].attempt(Attempt("", job="items")).items or {}
    names = list(only) or [name for name, job in jobs.items() if job == attempt.job]
    names = names[::stride]
    for kind, at, signal in places:
        start = base / f"start-{kind}-{at}"
        shutil.rmtree(start, ignore_errors=True)
        begin = replace(attempt, folder=str(start), settled=True)
        killed = servers[0].attempt(replace(begin, kind=kind, at=at, signal=signal))
        if killed.status not in (-9, 143):
            raise AssertionError(f"{killed.error}\n{killed.output}")
    rest, lock = iter(names), threading.Lock()

    def work(server: Server, folder: Path) -> list[tuple[str, str]]:
        found = []
        while True:
            with lock:
                name = next(rest, None)
            if name is None:
                return found
            found.append((name, lose(server, folder, name)))

    def go_on(server: Server, folder: Path, place: Place, name: str | None) -> Outcome:
        kind, at, signal = place
        shutil.rmtree(folder, ignore_errors=True)
        here = replace(attempt, folder=str(folder))
        if name is not None and name.startswith("saved before"):
            # A change of what is written: another process goes on.
            kill = replace(here, kind=kind, at=at, signal=signal, settled=True)
            server.attempt(replace(kill, forget=name))
            return server.attempt(here)
        shutil.copytree(base / f"start-{kind}-{at}", folder)
        return server.attempt(replace(here, forget=name))

    def lose(server: Server, folder: Path, name: str) -> str:
        for place in places:
            outcome = go_on(server, folder, place, name)
            if ABSENT in outcome.error:
                return "absent"
            if not outcome.done or compare(expected, outcome):
                return "missed"
        return "survived"

    with ThreadPoolExecutor(len(servers)) as pool:
        folders = [base / f"lost-{i}" for i in range(len(servers))]
        found = [f for some in pool.map(work, servers, folders) for f in some]
    harmed = []
    for place in places:
        outcome = go_on(servers[0], folders[0], place, None)
        if not outcome.done:
            harmed.append(f"{place}: {outcome.error or outcome.status}")
        elif names := compare(expected, outcome):
            before, now = expected.items or {}, outcome.items or {}
            words = [f"{n} was {before.get(n)} and is {now.get(n)}" for n in names]
            harmed.append(f"{place}: {'; '.join(words)}")
    there = [(name, came) for name, came in found if came != "absent"]
    survivors = tuple(name for name, came in there if came == "survived")
    missed = len(there) - len(survivors)
    unharmed = len(places) - len(harmed)
    return ItemCount(
        len(there), missed, survivors, unharmed, len(places), tuple(harmed)
    )
