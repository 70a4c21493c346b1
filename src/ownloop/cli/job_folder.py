"""The folder of `ownloop mnist`: whether its run may begin, go on, or is finished.

All of this is known before Keras is imported, so that a wrong word costs no waiting,
and a job that is finished needs no framework to say so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ownloop.checkpoints import Store
from ownloop.cli.commands import Job
from ownloop.cli.stored import SavedRun, newest
from ownloop.counts import counted
from ownloop.errors import FolderError
from ownloop.folder import Layout, find_holder
from ownloop.history import History
from ownloop.history.database import read_database

SETTINGS = "settings"
"""Where in the loop's memory the settings are."""

_FREE_TO_CHANGE = ("epochs", "out", "resume")


def settings_of(job: Job) -> dict[str, Any]:
    """Returns, as JSON, what must be the same whenever a job goes on.

    Example:
        >>> settings_of(Job(classes=(0, 1)))["classes"]
        [0, 1]
    """
    found = {k: v for k, v in vars(job).items() if k not in _FREE_TO_CHANGE}
    return found | {"classes": list(job.classes)}


def is_finished(job: Job) -> bool:
    """Returns whether the job in the folder is finished, so that nothing is left to do.

    Raises:
        FolderError: A run is there that must not be continued: nobody asked for that,
            another process is at it, or it is another job.
    """
    layout = Layout(job.out)
    if not layout.identity.exists():
        return False
    holder = find_holder(layout.lock)
    if holder is not None and holder.pid != os.getpid():
        raise FolderError(
            f"{job.out} is in use by {holder}. Expected one run at a time in a folder. "
            "Wait for that run, stop it, or choose another folder with --out."
        )
    saved = newest(Store(layout.checkpoints, run=layout.read_identity()))
    if saved is None:
        return False
    if not job.resume:
        raise FolderError(
            f"{job.out} has a run in it, at step {saved.step:,} after "
            f"{counted(saved.epoch, 'epoch')}. Expected a folder without a run. Write "
            "--resume to continue it, or choose another folder with --out."
        )
    _check_settings(job, saved)
    return saved.epoch >= job.epochs


def write_history(history: History, folder: Path) -> None:
    """Writes the history as numbers and as a picture."""
    history.to_csv(folder / "history.csv")
    history.to_json(folder / "history.json")
    history.plot(folder / "history.png")


def result_in_words(history: History, folder: Path) -> str:
    """Returns, in words, what came of the job, and where it is."""
    return (
        f"training accuracy {history['train_accuracy'][-1]:.4f}, "
        f"validation accuracy {history['val_accuracy'][-1]:.4f}; "
        f"history.csv, history.json and history.png are in {folder}"
    )


def tell_finished(job: Job) -> None:
    """Prints what came of a job that an earlier process has finished."""
    history = read_database(Layout(job.out).history)
    # That process may have been killed before it wrote these.
    write_history(history, job.out)
    done = len(history)
    print(
        f"finished already: {counted(done, 'epoch')}; "
        f"{result_in_words(history, job.out)}\n"
        f"--epochs {done + 10} trains on from there; another --out, or removing "
        f"{job.out}, begins anew"
    )


def _check_settings(job: Job, saved: SavedRun) -> None:
    before, now = saved.memory.get(SETTINGS), settings_of(job)
    if not isinstance(before, dict):
        raise FolderError(
            f"{job.out} has a run in it that `ownloop mnist` did not make. Expected "
            "one of this job. Choose another folder with --out."
        )
    for name, value in now.items():
        if before.get(name) != value:
            flag = f"--{name.replace('_', '-')}"
            raise FolderError(
                f"The run in {job.out} began with {flag} {_word(before.get(name))}, "
                f"and now it is {_word(value)}. Expected what it began with; only "
                "--epochs may change. Write that, or choose another folder with --out."
            )


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
