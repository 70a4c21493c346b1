"""Whole runs that are killed again and again until they come to their end.

The jobs are those of `job` and `wanderer`, compiled, in child processes that die by
SIGKILL: in a moment of each kind that `moments` knows, and at random times. What has
come of them must have the same bits as if nobody had been killed.
"""

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome
from faults.ends import apart
from faults.server import Server

KINDS = (
    "step",
    "resume",
    "save",
    "time",
    "validate",
    "history",
    "trace",
    "prune",
    "log",
    "compile",
    "disk",
    "any",
)
"""When a child is killed, in turn; "time" stands for the clock."""

SAVES = ("steps", "always", "epochs")
NETWORKS = ("dense", "images")
JOBS = ("dense", "wanderer", "images")
"""What differs between runs, in turn: when they save, and the job, with a network."""

_MANY_ATTEMPTS = 60
_SOME = 5


@final
@dataclass(frozen=True)
class RunCount:
    """What came of killed runs.

    Attributes:
        wanted: after how many kills no other run was to begin.
        runs: runs that were killed until they came to their end.
        kills: children that SIGKILL ended, in all of them.
        resumes: children that found a run in the folder and went on with it.
        identical: runs whose end was that of a run never killed, in every item.
        kinds: kills by their kind.
        differing: of the others: how they were killed, and some items that differ.
        errors: what ended children that were to go on, and whether the time was over
            too early; there must be none.
    """

    wanted: int
    runs: int
    kills: int
    resumes: int
    identical: int
    kinds: Mapping[str, int] = field(default_factory=dict)
    differing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        enough = self.kills >= self.wanted
        return enough and self.identical == self.runs > 0 and not self.errors


def begin(folder: Path, job: str, settings: Mapping[str, Any]) -> Attempt:
    """Give an attempt at one of `JOBS` that nobody kills."""
    if job in NETWORKS:
        return Attempt(str(folder), settings={**settings, "network": job})
    return Attempt(str(folder), job=job, settings=settings)


def reference(server: Server, attempt: Attempt) -> Outcome:
    """Give the outcome of a run that nobody kills."""
    shutil.rmtree(attempt.folder, ignore_errors=True)
    outcome = server.attempt(attempt)
    if not outcome.done:
        raise AssertionError(f"{outcome.error}\n{outcome.output}")
    return outcome


def count_runs(
    servers: Sequence[Server],
    base: Path,
    expected: Mapping[str, Outcome],
    *,
    settings: Mapping[str, Any],
    kills: int,
    seconds: float,
    seed: int,
) -> RunCount:
    """Kill runs until so many children have died.

    Args:
        servers: as many runs are killed side by side.
        base: a folder for them.
        expected: by job, of a run that nobody has killed.
        settings: of the jobs, then and now.
        kills: after so many no other run is begun.
        seconds: after so long nobody else is killed.
        seed: of what is drawn.
    """
    counter = _Counter(kills, seconds)

    def work(place: int) -> list[RunCount]:
        generator = random.Random(f"{seed} {place}")
        kinds = iter(KINDS[place % len(KINDS) :] + KINDS * kills)
        counts = []
        while counter.wants_more():
            folder = base / f"run-{place}-{len(counts)}"
            shutil.rmtree(folder, ignore_errors=True)
            turn = place + len(counts)
            job = JOBS[turn % len(JOBS)]
            # Each job meets each way to save.
            save = SAVES[(turn + turn // len(JOBS)) % len(SAVES)]
            whole = begin(folder, job, {**settings, "save": save})
            attempts = _Attempts(expected[job], generator, kinds)
            counts.append(_kill(servers[place], whole, attempts, counter))
            if counts[-1].identical:
                shutil.rmtree(folder)
        return counts

    with ThreadPoolExecutor(len(servers)) as pool:
        counts = [c for found in pool.map(work, range(len(servers))) for c in found]
    kinds: Counter[str] = Counter()
    for count in counts:
        kinds.update(count.kinds)
    died = sum(count.kills for count in counts)
    errors = [error for count in counts for error in count.errors]
    if died < kills:
        errors.append(f"after {seconds:.0f} s there were {died} kills of {kills}")
    return RunCount(
        wanted=kills,
        runs=len(counts),
        kills=died,
        resumes=sum(count.resumes for count in counts),
        identical=sum(count.identical for count in counts),
        kinds=dict(kinds),
        differing=tuple(words for count in counts for words in count.differing),
        errors=tuple(errors),
    )


class _Counter:
    """Counts kills for several threads, and the time."""

    def __init__(self, wanted: int, seconds: float) -> None:
        self._left = wanted
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self._end

    def wants_more(self) -> bool:
        return self._left > 0 and not self.is_late

    def count(self) -> None:
        with self._lock:
            self._left -= 1


class _Attempts:
    """Draws what the next child is to die of."""

    def __init__(self, expected: Outcome, generator: random.Random, kinds: Any) -> None:
        self.expected, self._generator, self._kinds = expected, generator, kinds

    def next(self) -> tuple[str, Mapping[str, Any]]:
        kind = next(self._kinds)
        if kind == "time":
            return kind, {"after": self._generator.uniform(0, self.expected.seconds)}
        count = (self.expected.counts or {}).get(kind, 1)
        # A third, so that each run is killed some times before it ends.
        at = self._generator.randint(1, max(2, count // 3))
        return kind, {"kind": kind, "at": at}


def _kill(
    server: Server, whole: Attempt, attempts: _Attempts, counter: _Counter
) -> RunCount:
    """Kill one run until it comes to its end."""
    kinds: Counter[str] = Counter()
    plans: list[str] = []
    resumes = 0
    settings = whole.settings or {}
    how = f"{settings.get('network', whole.job)} {settings['save']}"
    for number in range(_MANY_ATTEMPTS):
        kind, plan = attempts.next()
        # Whatever is drawn, the last one gets to the end.
        is_last = number == _MANY_ATTEMPTS - 1 or counter.is_late
        attempt = whole if is_last else replace(whole, **plan)
        resumes += any(Path(whole.folder, "checkpoints").glob("step-*"))
        outcome = server.attempt(attempt)
        if outcome.killed:
            kinds[kind] += 1
            plans.append(f"{kind} {plan.get('at', plan.get('after'))}")
            counter.count()
            continue
        kills, words = sum(kinds.values()), f"{how}, killed at {', '.join(plans)}"
        if not outcome.done:
            error = f"{words}: {outcome.error or outcome.status}"
            return RunCount(0, 1, kills, resumes, 0, kinds, (), (error,))
        names = apart(attempts.expected, outcome)
        words = f"{words}: {', '.join(names[:_SOME])}"
        differing = (words,) if names else ()
        return RunCount(0, 1, kills, resumes, int(not names), kinds, differing)
    raise AssertionError("the last attempt was killed, too")
