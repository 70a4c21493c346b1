"""A full or broken disk: each call fails in turn, once or for good."""

import errno
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from faults.disks import FailingDisk
from faults.samples import RUN, bits, sample, save, scratch
from ownloop.checkpoints import Store
from ownloop.checkpoints.names import is_leftover
from ownloop.errors import CheckpointError

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT)


@final
@dataclass(frozen=True)
class FailureCount:
    """What came of the failures.

    Attributes:
        points: failures: a call, an errno, once or sticky.
        told: those after which an error named the path and the reason; the others
            struck where nothing depended on the call.
        survived: those after which all that was committed could be loaded, and the next
            commit succeeded and left no rubbish.
        silent: those in which a commit failed and nobody was told; must be 0.
    """

    points: int
    told: int
    survived: int
    silent: int


def count_failures() -> FailureCount:
    """Let each call of a commit and its pruning fail, in every way."""
    points = told = survived = silent = 0
    for number, sticky in itertools.product(ERRORS, (False, True)):
        for at in itertools.count(1):
            with scratch() as base:
                folder = Path(base, "checkpoints")
                for step in (1, 2):
                    Store(folder, run=RUN).commit(sample(step))
                disk = FailingDisk(at, number, sticky=sticky)
                reason = ""
                try:
                    save(Store(folder, run=RUN, disk=disk), 3, last=2)
                except CheckpointError as error:
                    reason = str(error)
                if not disk.failed:
                    break
                points += 1
                told += os.strerror(number) in reason and str(folder) in reason
                silent += not reason and "step-3" not in os.listdir(folder)
                survived += _is_sound(folder, must_be_clean=not sticky)
    return FailureCount(points, told, survived, silent)


def _is_sound(folder: Path, *, must_be_clean: bool) -> bool:
    """Look at what a failure left, and go on with a disk that works again."""
    store = Store(folder, run=RUN)
    found = store.newest()
    if found.checkpoint is None or found.refused:
        return False
    step = found.checkpoint.step
    whole = step in (2, 3) and bits(found.checkpoint) == bits(sample(step))
    whole = whole and all(finding.ok for finding in store.verify())
    unfinished = [n for n in os.listdir(folder) if n.startswith(".tmp-")]
    clean = not (must_be_clean and unfinished)
    name = save(store, 4, last=1)
    left = os.listdir(folder)
    return whole and clean and left == [name] and not any(map(is_leftover, left))
