"""SIGTERM and SIGINT: a run that is asked to leave saves, leaves, and goes on later."""

import itertools
import random
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server

STATUS = {"SIGTERM": 143, "SIGINT": 130}


@final
@dataclass(frozen=True)
class AskedCount:
    """What came of it.

    Attributes:
        signals: how many children were asked, once or twice.
        heard: those that left with the signal's exit code.
        saved: of those that were asked once, how many had saved the step they were at.
        identical: runs that went on to the end of a run nobody has asked.
        p50: seconds from a single SIGTERM to the end of the process, the median.
        p99: so, for one in a hundred.
        errors: what came instead.
    """

    signals: int
    heard: int
    once: int
    saved: int
    identical: int
    runs: int
    p50: float
    p99: float
    errors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        heard = self.heard == self.signals > 0
        return heard and self.saved == self.once and self.identical == self.runs


def count_asked(
    server: Server,
    base: Path,
    expected: Outcome,
    *,
    settings: Mapping[str, Any],
    rounds: int,
    seed: int,
) -> AskedCount:
    """Ask runs to leave, at drawn steps, each signal once and twice, in every round."""
    generator = random.Random(seed)
    settings = {**settings, "save": "epochs"}
    heard = once = saved = identical = signals = runs = 0
    seconds: list[float] = []
    errors: list[str] = []
    for _ in range(rounds):
        folder = base / "asked"
        shutil.rmtree(folder, ignore_errors=True)
        for name, times in itertools.product(STATUS, (1, 2)):
            at = generator.randint(4, 24)
            outcome = server.attempt(
                Attempt(
                    str(folder),
                    settings=settings,
                    kind="step",
                    at=at,
                    signal=name,
                    times=times,
                )
            )
            if outcome.done:
                continue
            signals += 1
            if outcome.status != STATUS[name]:
                errors.append(f"{name} gave {outcome.status}: {outcome.error}")
                continue
            heard += 1
            if times == 1:
                once += 1
                saved += "saving the run" in outcome.output
                if name == "SIGTERM" and outcome.latency is not None:
                    seconds.append(outcome.latency)
        outcome = server.attempt(Attempt(str(folder), settings=settings))
        runs += 1
        names = [
            name
            for name in differing(expected, outcome)
            if not name.startswith("checkpoint")
        ]
        identical += outcome.done and not names
        errors += [outcome.error] * bool(outcome.error) + names
    return AskedCount(
        signals,
        heard,
        once,
        saved,
        identical,
        runs,
        *_quantiles(seconds),
        tuple(errors),
    )


def _quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    if not seconds:
        return float("nan"), float("nan")
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return round(statistics.median(ordered), 3), round(last, 3)
