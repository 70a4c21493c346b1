"""A run as its folder holds it, for whoever only looks.

Owns where the files of a run are found, and what its checkpoints say in words: never
what arrays they hold. Takes no lock, writes nothing, and imports neither Keras nor a
framework.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ownloop.checkpoints import Store
from ownloop.errors import CheckpointError, FolderError
from ownloop.folder import Layout
from ownloop.history.database import read_saved_name
from ownloop.history.tally import Mark
from ownloop.resume.place import Place


@final
@dataclass(frozen=True)
class SavedRun:
    """What a checkpoint says of its run.

    Attributes:
        name: The checkpoint's name.
        step: How many steps had been taken.
        epoch: How many epochs were finished.
        place: Where in the user's code the run stood.
        fingerprint: What it ran on.
        kinds: By step and shape, which kinds of programs it ran.
        inexact: Whether it was ever continued although something differed.
        doubts: What was taken for the script's own choice, in words.
        history: How much of the history belongs to the checkpoint.
        log: How many bytes of the log belong to it.
        log_digest: The SHA-256 of these bytes.
        memory: The user's own values.
    """

    name: str
    step: int
    epoch: int
    place: Place
    fingerprint: Mapping[str, Any]
    kinds: Mapping[str, Collection[str]]
    inexact: bool
    doubts: Sequence[str]
    history: Mark
    log: int
    log_digest: str
    memory: Mapping[str, Any]

    @property
    def epochs_total(self) -> int | None:
        """How many epochs that round asked for, if it said so."""
        return self.place.totals[-1] if self.place.totals else None


def find_run(folder: Path) -> Layout:
    """Returns the layout of a run's folder, whether or not the files in it are whole.

    Raises:
        FolderError: There is no such folder, it cannot be read, or it has no run.
    """
    layout = Layout(folder)
    if layout.identity.name not in names_in(folder):
        raise FolderError(
            f"{folder} is no folder of a run: it has no {layout.identity.name}. "
            "Expected a folder that was given to `Loop(folder=...)`, or as --out. "
            f"Write `ownloop runs {folder}` to see which runs are below it."
        )
    return layout


def names_in(folder: Path) -> list[str]:
    """Returns the names of what is in a folder.

    Raises:
        FolderError: There is no such folder, or it cannot be read.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be read: {error.strerror}. Expected a folder that we may "
            "look into. Give the right one, or see to its permissions."
        ) from error


def read_saved(store: Store, name: str) -> SavedRun:
    """Returns what a checkpoint says in words; its arrays are not read.

    Raises:
        CheckpointError: It is not as it was committed, or is none of a loop.
    """
    meta = store.meta(name)
    try:
        return SavedRun(
            name=name,
            step=_step_of(name),
            epoch=int(meta["epoch"]),
            place=Place.from_json(meta["place"]),
            fingerprint=dict(meta["fingerprint"]),
            kinds={n: set(k.values()) for n, k in meta["kinds"].items()},
            inexact=bool(meta["inexact"]),
            doubts=list(meta["doubts"]),
            history=Mark.from_json(meta["files"]["history"]),
            log=int(meta["files"]["log"]),
            log_digest=str(meta["files"]["log digest"]),
            memory=dict(json.loads(meta["memory"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError, FolderError) as error:
        raise CheckpointError(
            f"The checkpoint {name} does not say where its run was: "
            f"{type(error).__name__}, {error}. Expected what a loop of this ownloop "
            "saves. Read it with the ownloop that wrote it."
        ) from error


def newest(store: Store) -> SavedRun | None:
    """Returns what the newest readable checkpoint says; None: nothing is saved yet.

    Raises:
        CheckpointError: There are checkpoints, and the words of none can be read.
    """
    refusal: CheckpointError | None = None
    for name in reversed(store.names()):
        try:
            return read_saved(store, name)
        except CheckpointError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None


def state_at_rest(layout: Layout, identity: str, saved: SavedRun | None) -> str:
    """Returns in words what a run is that no process has.

    It is finished where its last round of `loop.epochs` was over. Else it was
    interrupted, perhaps by a step that made something NaN or infinite.

    Args:
        layout: Where its files are.
        identity: The run.
        saved: What its newest checkpoint says.

    Raises:
        CheckpointError: The folder of bad steps cannot be read.
    """
    if saved is not None and saved.place.epoch is None and saved.place.round > 0:
        return "finished"
    next_step = 1 if saved is None else saved.step + 1
    bad = map(_step_of, Store(layout.nonfinite, run=identity).names())
    was_bad = f", step {next_step:,} was bad" if next_step in bad else ""
    return f"interrupted{was_bad}"


def _step_of(name: str) -> int:
    return int(name.removeprefix("step-").partition(".")[0])


def lost_checkpoint(layout: Layout, store: Store) -> str | None:
    """Returns the name of a checkpoint that was saved, where none is left; else None.

    Such a run is not continued: it would begin anew, and wipe what was recorded.

    Raises:
        FolderError: The history cannot be read.
    """
    if store.names() or not layout.history.exists():
        return None
    saved = read_saved_name(layout.history, run=None)
    # The run may have saved its first one meanwhile.
    return None if store.names() else saved


def bytes_below(folder: Path) -> int:
    """Returns the bytes of all files in a folder and below; links are not followed."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # deleted by the run meanwhile
                total += os.lstat(os.path.join(place, name)).st_size
    return total
