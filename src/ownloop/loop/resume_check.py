"""Whether a script survives being killed: its own processes, killed and compared.

The script is run again as it was called, once to a number of steps, and once more with
real kills on the way. Each child comes to the same `check_resume`, which there only
turns the loop to a folder of its own.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from ownloop.checkpoints import Checkpoint, Store
from ownloop.errors import LoopError
from ownloop.folder import Layout
from ownloop.loop.script import script_of_this_process
from ownloop.loop.trial import KILL, Trial
from ownloop.shown import shown
from ownloop.whole import whole_number

_WORDS_OF_A_FAILURE = 2_000
_UNSEEDED: Final = ("random/", "reading/")
"""Generators that no one has seeded differ from the start; where numbers of theirs are
used, other things differ, too."""
_HOW_IT_CAME: Final = ("random", "kinds", "calls", "steps", "models")
"""Say how a run came to where it is: what was built or known before a call."""
_PERHAPS_ASSUMED: Final = ("habits", "guessed")
"""Say what was not known for sure yet, of data."""


@final
@dataclass(frozen=True)
class ResumeReport:
    """What `Loop.check_resume` found.

    Attributes:
        steps: How many steps were compared.
        kills: At which steps the run was killed; empty in a child process, where
            nothing is known yet.
        difference: The first thing that was not the same; None if everything was.
    """

    steps: int
    kills: tuple[int, ...] = ()
    difference: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether the killed run ended with the same bits."""
        return self.difference is None

    def __str__(self) -> str:
        kills = ", ".join(map(str, self.kills))
        if self.is_equal:
            return f"{self.steps} steps, killed at {kills}: the same bits"
        return (
            f"{self.steps} steps, killed at {kills}: {self.difference}. What a script "
            "keeps in its own variables is lost: keep it in `loop.memory`, or let "
            "`Loop(...)` own it"
        )


def check_resume(steps: int, kills: int, seed: int) -> ResumeReport:
    """Runs this script in child processes; see `Loop.check_resume`."""
    steps, kills = _checked(steps, kills)
    if script_of_this_process() is None:
        raise LoopError(
            "`check_resume` was called outside of a script. Expected a file that can "
            "be run again in another process. Put the loop into a script and call it "
            "there."
        )
    command = [sys.executable, *sys.orig_argv[1:]]
    places = random.Random(seed).sample(range(1, steps), kills)
    with tempfile.TemporaryDirectory(prefix="ownloop-check-") as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        _run(command, Trial(str(whole), steps))
        end = _end(whole)
        killed = [
            place
            for place in sorted(places)
            if not _run(command, Trial(str(cut), steps, place))
        ]
        if not killed:
            raise LoopError(
                f"`check_resume` did not come to kill the script, which ends after "
                f"{end.step} steps. Expected it to live until step "
                f"{min(places)} at least. Ask for fewer steps, or train for longer."
            )
        _run(command, Trial(str(cut), steps))
        difference = _difference(end, _end(cut)) or _difference_of_logs(whole, cut)
    return ResumeReport(end.step, tuple(killed), difference)


def _checked(steps: Any, kills: Any) -> tuple[int, int]:
    most, number = whole_number(steps), whole_number(kills)
    if most is None or number is None or not 0 < number < most:
        raise LoopError(
            f"`check_resume` got steps={shown(steps)} and kills={shown(kills)}. "
            "Expected whole numbers with 0 < kills < steps. Write, for example, "
            "loop.check_resume(steps=200, kills=3)."
        )
    return most, number


def _run(command: list[str], trial: Trial) -> bool:
    """Runs a child; returns whether it came to its end, and was not killed."""
    environment = trial.environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    killed = trial.kill is not None and done.returncode == -KILL
    if done.returncode != 0 and not killed:
        raise LoopError(
            f"A child process of `check_resume` ended with code {done.returncode}: "
            f"{done.stderr[-_WORDS_OF_A_FAILURE:]}\nExpected the script to run as it "
            "does here. Run it by itself, and see what it says."
        )
    return not killed


def _end(folder: Path) -> Checkpoint:
    found = Store(Layout(folder).checkpoints, run=None).newest().checkpoint
    if found is None:
        raise LoopError(
            "A child process of `check_resume` took no step: the script was over, or "
            "had trained, when `check_resume` was called. Expected the script to go on "
            "to its `loop.epochs` after the call, in the children as well. Call it "
            "before `loop.epochs`, and end the script with a report that has kills "
            "only, which no child's has: `if report.kills: sys.exit()`."
        )
    return found


def _difference(whole: Checkpoint, cut: Checkpoint) -> str | None:
    if whole.step != cut.step:
        return f"it ended at step {cut.step} and not at step {whole.step}"
    tensors, others = _tensors(whole), _tensors(cut)
    for name, (path, digest) in (tensors | others).items():
        if name not in others:
            return f"{name} ({path}) is not in the killed run"
        if name not in tensors:
            return f"{name} ({path}) is only in the killed run"
        if tensors[name][1] != digest:
            return f"{name} ({path}) differs"
    before, now = _words(whole.meta), _words(cut.meta)
    for name in before | now:
        if before.get(name) != now.get(name):
            return f"{name} is {now.get(name)!r:.200} and not {before.get(name)!r:.200}"
    return None


def _tensors(checkpoint: Checkpoint) -> dict[str, tuple[str, str]]:
    """Returns paths and hashes by name.

    What no object owns is numbered as it was found, which is another order where a
    process goes on: here it is numbered by paths and bits.
    """
    named: dict[str, tuple[str, str]] = {}
    found: list[tuple[str, str]] = []
    for name, entry in checkpoint.tensors.items():
        told = entry.path, hashlib.sha256(entry.array.tobytes()).hexdigest()
        if name.startswith("found/"):
            found.append(told)
        elif not name.startswith(_UNSEEDED):
            named[name] = told
    return named | {f"found/{i}": told for i, told in enumerate(sorted(found))}


def _words(meta: Mapping[str, Any]) -> dict[str, Any]:
    words = {name: value for name, value in meta.items() if name not in _HOW_IT_CAME}
    data = {n: v for n, v in meta["data"].items() if n not in _PERHAPS_ASSUMED}
    return words | {"data": data}


def _difference_of_logs(whole: Path, cut: Path) -> str | None:
    first, second = Layout(whole).log, Layout(cut).log
    is_same = first.read_bytes() == second.read_bytes()
    return None if is_same else f"{first.name} differs"
