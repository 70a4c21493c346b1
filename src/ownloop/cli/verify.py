"""`ownloop verify`: every byte of a run's folder against what was promised of it.

A line for each finding. Nothing is changed and nothing mended, and a run may write
meanwhile: what it adds is not looked at, and what it deletes is not missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from ownloop.checkpoints import Store
from ownloop.cli.stored import SavedRun, find_run, lost_checkpoint, read_saved
from ownloop.cli.table import size_in_words
from ownloop.errors import CheckpointError, FolderError, OwnloopError
from ownloop.folder import Layout, verify_log
from ownloop.history.database import verify_database
from ownloop.history.tally import Mark

_NAME_WIDTH: Final = 15
_VERDICT_WIDTH: Final = 8
_NOTHING_YET: Final = "nothing yet: the run has only just begun"


@final
@dataclass(frozen=True)
class Finding:
    """What a look at one thing has found.

    Attributes:
        name: The name of the thing.
        ok: Whether it is as it should be.
        words: What it is, or what is wrong.
    """

    name: str
    ok: bool
    words: str

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "DAMAGED"
        return f"{self.name:<{_NAME_WIDTH}} {verdict:<{_VERDICT_WIDTH}} {self.words}"


def report(folder: Path) -> int:
    """Prints the findings; returns 0 if all are well, else 1.

    Raises:
        FolderError: There is no run in this folder.
    """
    layout = find_run(folder)
    is_well = True
    for finding in examine(layout):
        print(finding, flush=True)  # the next may take a while
        is_well &= finding.ok
    return 0 if is_well else 1


def examine(layout: Layout) -> Iterator[Finding]:
    """Yields a finding for each thing in turn, checkpoints from the oldest on."""
    identity = None
    try:
        identity = layout.read_identity()
        yield Finding(layout.identity.name, True, f"the run {identity}")
    except FolderError as error:
        yield Finding(layout.identity.name, False, str(error))
    store = Store(layout.checkpoints, run=identity)
    found: list[Finding] = []
    try:
        for finding in _checkpoints(store):
            yield finding
            found.append(finding)
    except CheckpointError as error:
        found.append(Finding(layout.checkpoints.name, False, str(error)))
        yield found[-1]
    try:
        for finding in _checkpoints(Store(layout.nonfinite, run=identity)):
            yield replace(finding, name=f"{layout.nonfinite.name}/{finding.name}")
    except CheckpointError as error:
        yield Finding(layout.nonfinite.name, False, str(error))
    for path in sorted(layout.checkpoints.glob("broken-step-*")):
        yield Finding(path.name, True, "refused and set aside by the run")
    with suppress(FolderError, CheckpointError):  # another finding tells of it
        if (lost := lost_checkpoint(layout, store)) is not None:
            words = (
                f"none is left, though {lost} was saved. Bring one back from a copy."
            )
            found.append(Finding(layout.checkpoints.name, False, words))
            yield found[-1]
    saved = _newest(store, [finding.name for finding in found if finding.ok])
    if found or layout.history.exists():
        yield _history(layout, identity, saved)
    else:
        yield Finding(layout.history.name, True, _NOTHING_YET)
    if found or layout.log.exists():
        yield _log(layout, saved)
    else:
        yield Finding(layout.log.name, True, _NOTHING_YET)


def _checkpoints(store: Store) -> Iterator[Finding]:
    for found in store.verify():
        if found.ok:
            yield Finding(found.name, True, size_in_words(found.bytes))
        elif found.name in store.names():  # else the run has deleted it meanwhile
            yield Finding(found.name, False, found.reason)


def _newest(store: Store, whole: list[str]) -> SavedRun | None:
    for name in reversed(whole):
        with suppress(CheckpointError):
            return read_saved(store, name)
    return None


def _history(layout: Layout, identity: str | None, saved: SavedRun | None) -> Finding:
    name = layout.history.name
    mark = Mark.of_nothing() if saved is None else saved.history
    try:
        verify_database(layout.history, mark, run=identity)
    except OwnloopError as error:
        return Finding(name, False, str(error))
    if saved is None:
        return Finding(name, True, "a whole database, of which nothing is saved yet")
    rows = mark.steps + mark.looks
    return Finding(name, True, f"{rows:,} values, as {saved.name} says")


def _log(layout: Layout, saved: SavedRun | None) -> Finding:
    name = layout.log.name
    least = 0 if saved is None else saved.log
    try:
        if saved is not None:
            verify_log(layout.log, least, digest=saved.log_digest)
        size = layout.log.stat().st_size
    except FolderError as error:
        return Finding(name, False, str(error))
    except OSError as error:
        return Finding(name, False, f"cannot be read: {error.strerror}")
    return Finding(name, True, f"{size:,} bytes, of which {least:,} are saved")
