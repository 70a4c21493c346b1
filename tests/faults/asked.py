"""SIGTERM and SIGINT: a run that is asked to leave saves, leaves, and goes on later.

Children of the harness are asked in moments of many kinds; plain scripts, which Python
itself ends, from outside.
"""

import itertools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome
from faults.ends import apart
from faults.runs import NETWORKS
from faults.server import Server
from ownloop.checkpoints import Store
from ownloop.folder import Layout

STATUS = {"SIGTERM": 143, "SIGINT": 130}
_UNHEARD = {"SIGTERM": -signal.SIGTERM, "SIGINT": 130}
"""The exit codes where the loop listens, and where it does not: between its rounds."""

_PLAIN = {"SIGTERM": 143, "SIGINT": -signal.SIGINT}
"""Those of a script; a shell calls the second one 130, too."""

SIGNALS = (*[("SIGTERM", 1)] * 5, ("SIGTERM", 2), ("SIGINT", 1), ("SIGINT", 2))
"""What is sent in each round, and how often at once."""

KINDS = (
    "step",
    "save",
    "disk",
    "validate",
    "trace",
    "compile",
    "history",
    "log",
    "any",
)
"""When, in turn. One more than `SIGNALS`, so that each signal meets each kind."""

_LONGEST_PASS = 4
_MANY_RUNS = 20
_PATIENCE_SECONDS = 240


@final
@dataclass
class AskedCount:
    """What came of it.

    Attributes:
        signals: how many children were asked, once or twice.
        heard: those that left with the exit code that they must.
        once: those that were asked once while the loop listened, and were not in an
            `epoch.step`, where nothing can be saved.
        saved: how many of these left the state of the step that they were at.
        runs: runs that came to their end.
        identical: those that ended as a run nobody has asked.
        scripts: plain scripts that were asked, each once.
        left: those that left with their exit code, saved, and ended the same later.
        seconds: from a single SIGTERM to the end of the process, in order.
        kinds: the moments in which these were sent, by their kind.
        errors: what came instead.
    """

    signals: int = 0
    heard: int = 0
    once: int = 0
    saved: int = 0
    runs: int = 0
    identical: int = 0
    scripts: int = 0
    left: int = 0
    seconds: list[float] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        heard = self.heard == self.signals > 0
        saved = self.saved == self.once > 0
        same = self.identical == self.runs > 0 and self.left == self.scripts > 0
        return heard and saved and same and not self.errors


def count_asked(
    server: Server,
    base: Path,
    expected: Mapping[str, Outcome],
    *,
    settings: Mapping[str, Any],
    rounds: int,
    seed: int,
) -> AskedCount:
    """Ask runs to leave: all of `SIGNALS` in each round, and two plain scripts.

    Args:
        server: makes the attempts.
        base: a folder for the runs.
        expected: by network, of a run that nobody has asked.
        settings: of the job.
        rounds: how often; the networks take turns.
        seed: of what is drawn.
    """
    generator, count = random.Random(seed), AskedCount()
    kinds = itertools.cycle(KINDS)
    for number in range(rounds):
        network = NETWORKS[number % len(NETWORKS)]
        # Between two epochs nothing is saved but what a signal makes the run save.
        own = {**settings, "network": network, "save": "epochs"}
        run = _Run(server, base / "asked", own, expected[network], count)
        for name, times in SIGNALS:
            run.ask(name, times, _moments(expected[network], next(kinds), generator))
        run.finish()
    for name in STATUS:
        own = {**settings, "network": NETWORKS[0], "save": "epochs"}
        run = _Run(server, base / "script", own, expected[NETWORKS[0]], count)
        run.ask_script(name, after=generator.randint(2, 20))
    return count


def quantile(seconds: Sequence[float], share: float) -> float:
    """Give the time within which so many left.

    Example:
        >>> quantile([3.0, 1.0, 2.0], 0.5)
        2.0
    """
    if not seconds:
        return float("nan")
    if share == 0.5:
        return statistics.median(seconds)
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


def _moments(
    expected: Outcome, kind: str, generator: random.Random
) -> Iterator[tuple[str, int]]:
    """Draw moments of a kind: of a quarter, so that a run is asked some times.

    Later and later ones, as a call between two rounds, where nobody listens, is made
    anew by each process.
    """
    last = max(2, (expected.counts or {}).get(kind, 0) // 4)
    for later in itertools.count():
        yield kind, generator.randint(1, last) + later


class _Run:
    """A run that is asked to leave again and again; another one where it has ended."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        settings: Mapping[str, Any],
        expected: Outcome,
        count: AskedCount,
    ) -> None:
        self._server, self._folder, self._settings = server, folder, settings
        self._expected, self._count = expected, count
        shutil.rmtree(folder, ignore_errors=True)

    def ask(self, name: str, times: int, moments: Iterator[tuple[str, int]]) -> None:
        """Send a signal so many times, in the first of the moments that is heard."""
        for kind, at in itertools.islice(moments, _MANY_RUNS):
            attempt = Attempt(
                str(self._folder),
                settings=self._settings,
                kind=kind,
                at=at,
                signal=name,
                times=times,
            )
            outcome = self._server.attempt(attempt)
            if outcome.latency is None:
                self._end(outcome)
                continue
            self._look(f"{name}, {times}, at {kind} {at}", attempt, outcome)
            if outcome.listening:
                return
        raise AssertionError(f"in no moment of the kind {kind!r} did anybody listen")

    def finish(self) -> None:
        """Go on to the end."""
        self._end(self._server.attempt(self._attempt()))

    def ask_script(self, name: str, *, after: int) -> None:
        """Send a plain script one signal, when it has told of so many steps."""
        words = [str(self._folder), json.dumps(self._settings)]
        told: list[str] = []
        with (
            tempfile.TemporaryFile("w+") as complaints,
            subprocess.Popen(
                [sys.executable, "-m", "faults.plain", *words],
                env=self._server.environment,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            ) as script,
        ):
            assert script.stdout is not None
            for line in script.stdout:
                if line.startswith("step "):
                    told.append(line)
                    if len(told) == after:
                        os.kill(script.pid, signal.Signals[name])
            status = script.wait(_PATIENCE_SECONDS)
            complaints.seek(0)
            output = complaints.read()
        self._count.scripts += 1
        step, saved = int(told[-1].split()[1]) if told else None, self._newest()
        # It goes on in a child of the harness, whose end can be compared.
        names = apart(self._expected, self._server.attempt(self._attempt()))
        if status == _PLAIN[name] and saved == step and not names:
            self._count.left += 1
            return
        self._count.errors.append(
            f"a script at {name} after {after} lines left with {status}, at step "
            f"{step}, saved {saved}, went on with {names[:5]}: {output[-1000:]}"
        )

    def _attempt(self) -> Attempt:
        return Attempt(str(self._folder), settings=self._settings)

    def _look(self, words: str, attempt: Attempt, outcome: Outcome) -> None:
        """Count what came of a signal."""
        count = self._count
        count.signals += 1
        must = (STATUS if outcome.listening else _UNHEARD)[attempt.signal]
        if outcome.status != must:
            error = f"{outcome.error} {outcome.output[-500:]}"
            count.errors.append(f"{words} gave {outcome.status}, not {must}: {error}")
            return
        count.heard += 1
        if attempt.times > 1 or not outcome.listening:
            return
        if attempt.signal == "SIGTERM" and outcome.latency is not None:
            count.seconds.append(round(outcome.latency, 4))
            count.kinds[attempt.kind] = count.kinds.get(attempt.kind, 0) + 1
        if outcome.single:
            return
        count.once += 1
        asked, left, saved = outcome.asked or 0, outcome.step, self._newest()
        count.saved += saved == left
        if saved != left:
            count.errors.append(f"{words} left at step {left}, and saved {saved}")
        elif left - asked > _LONGEST_PASS:
            count.errors.append(f"{words} at step {asked} went on to step {left}")

    def _newest(self) -> int | None:
        """Give the step of the newest checkpoint."""
        layout = Layout(self._folder)
        if not layout.checkpoints.exists():
            return None
        store = Store(layout.checkpoints, run=layout.read_identity())
        found = store.newest().checkpoint
        return None if found is None else found.step

    def _end(self, outcome: Outcome) -> None:
        """Compare a run that came to its end with one that nobody has asked."""
        names = apart(self._expected, outcome)
        same = outcome.done and not names
        self._count.runs += 1
        self._count.identical += same
        if not same:
            self._count.errors.append(outcome.error or ", ".join(names[:5]))
        shutil.rmtree(self._folder, ignore_errors=True)
