"""SIGKILL at each call of a commit: k = 1, 2, ... until one commit gets to its end.

The killed process is a real one, forked from a process that has imported next to
nothing, since a fork of one with threads may hang.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from faults.disks import KillingDisk
from faults.samples import RUN, bits, sample, save, scratch
from ownloop.checkpoints import Store


@final
@dataclass(frozen=True)
class KillCount:
    """What came of the kills.

    Attributes:
        points: kills, each at another point.
        before: kills after which the newest checkpoint was the one before.
        after: kills after which it was the new one.
        other: kills after which it was neither, or not whole; must be 0.
        damaged: kills after which any checkpoint was not whole; must be 0.
        stuck: kills after which the next commit failed or left rubbish; must be 0.
    """

    points: int = 0
    before: int = 0
    after: int = 0
    other: int = 0
    damaged: int = 0
    stuck: int = 0

    def __add__(self, other: "KillCount") -> "KillCount":
        mine, theirs = asdict(self), asdict(other)
        return KillCount(**{name: mine[name] + theirs[name] for name in mine})


def count_kills() -> KillCount:
    """Kill in a process of its own, and give what it counted."""
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    path = [str(Path(__file__).resolve().parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "faults.kills"],
        env=os.environ | single | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return KillCount(**json.loads(done.stdout))


def _kill_everywhere(before: list[int], act: Callable[[Store], object]) -> KillCount:
    """Kill at each call of `act`, on a folder with checkpoints of some steps."""
    count = KillCount()
    with scratch() as base:
        start = Path(base, "start")
        start.mkdir()
        for step in before:
            Store(start / "checkpoints", run=RUN).commit(sample(step))
        for half in (False, True):
            for at in itertools.count(1):
                folder = Path(base, "killed")
                shutil.copytree(start, folder)
                if not _is_killed(folder, act, at, half=half):
                    shutil.rmtree(folder)
                    break
                count += _look(folder, before)
                shutil.rmtree(folder)
    return count


def _is_killed(
    folder: Path, act: Callable[[Store], object], at: int, *, half: bool
) -> bool:
    child = os.fork()
    if child == 0:
        disk = KillingDisk(at, half=half)
        status = 1
        try:
            act(Store(folder / "checkpoints", run=RUN, disk=disk))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"the child failed by itself at call {at}")
    return False


def _look(folder: Path, before: list[int]) -> KillCount:
    """Look at what a kill has left, and go on from there."""
    store = Store(folder / "checkpoints", run=RUN)
    found = store.newest()
    step = None if found.checkpoint is None else found.checkpoint.step
    whole = step is None or bits(found.checkpoint) == bits(sample(step))
    last = before[-1] if before else None
    damaged = any(not finding.ok for finding in store.verify()) or found.refused
    name = save(store, 1000, last=1)
    return KillCount(
        points=1,
        before=int(whole and step == last),
        after=int(whole and step == 100),
        other=int(not whole or step not in (last, 100)),
        damaged=int(bool(damaged)),
        stuck=int(os.listdir(folder / "checkpoints") != [name]),
    )


def _main() -> None:
    first = _kill_everywhere([], lambda store: save(store, 100, last=2))
    later = _kill_everywhere([1, 2], lambda store: save(store, 100, last=2))
    print(json.dumps(asdict(first + later)))


if __name__ == "__main__":
    _main()
