"""`ownloop runs`: the runs below a folder, a line for each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from ownloop.checkpoints import Store
from ownloop.cli.stored import bytes_below, names_in, newest, state_at_rest
from ownloop.cli.table import draw_rows, size_in_words
from ownloop.errors import FolderError, OwnloopError
from ownloop.folder import Layout, find_holder
from ownloop.history.summary import read_summary
from ownloop.history.table import decimal

_LEVELS: Final = 2
_HEAD: Final = ("run", "state", "epochs", "steps", "checkpoint", "size")
_IS_NUMBER: Final = (False, False, True, True, False, True)
_MOST_VALUES: Final = 4
_FEWEST_VALUES: Final = 2


@final
@dataclass(frozen=True)
class Line:
    """A run in the table.

    Attributes:
        words: The words of the columns that every run has.
        last: The last look of each name.
        trouble: What could not be read, and why; empty where all could.
    """

    words: tuple[str, ...]
    last: Mapping[str, float] = field(default_factory=dict)
    trouble: str = ""


def report(folder: Path) -> int:
    """Prints the table and returns 0, also where a run in it is damaged.

    Raises:
        FolderError: The folder does not exist, or cannot be read.
    """
    paths, notes = find_runs(folder)
    if not paths:
        print(f"no runs in {folder}, nor two levels below it")
    lines = [look(path, os.path.relpath(path, folder)) for path in paths]
    for text in draw(lines, _room()):
        print(text)
    for note in [*notes, *(line.trouble for line in lines if line.trouble)]:
        print(f"ownloop: {note}", file=sys.stderr)
    return 0


def find_runs(folder: Path) -> tuple[list[Path], list[str]]:
    """Returns the folders of runs, in the order of their names, and what is unreadable.

    The folder itself may be one. Runs and hidden folders are not searched.

    Raises:
        FolderError: The folder does not exist, or cannot be read.
    """
    found: list[Path] = []
    notes: list[str] = []

    def search(place: Path, names: Sequence[str], levels: int) -> None:
        if Layout(place).identity.name in names:
            found.append(place)
            return
        for name in names if levels else ():
            below = place / name
            if name.startswith(".") or not os.path.isdir(below):
                continue
            try:
                search(below, names_in(below), levels - 1)
            except FolderError as error:
                notes.append(str(error))

    search(folder, names_in(folder), _LEVELS)
    return found, notes


def look(folder: Path, name: str) -> Line:
    """Returns how far a run is, without its lock and without reading all of it."""
    layout = Layout(folder)
    size = size_in_words(bytes_below(folder))
    try:
        identity = layout.read_identity()
        saved = newest(Store(layout.checkpoints, run=identity))
        state = _running(layout) or state_at_rest(layout, identity, saved)
        last = "-" if saved is None else saved.name
        if not layout.history.exists():
            # The run has just begun: it has an identity, and no history yet.
            return Line((name, state, "0", "0", last, size))
        summary = read_summary(layout.history, run=identity)
    except OwnloopError as error:
        return Line((name, "damaged", "?", "?", "?", size), trouble=str(error))
    total = None if saved is None else saved.epochs_total
    epochs = f"{summary.epochs:,}" + (f"/{total:,}" if total is not None else "")
    return Line((name, state, epochs, f"{summary.step:,}", last, size), summary.last)


def draw(lines: Sequence[Line], room: int | None) -> list[str]:
    """Returns the table, with as many values as there is room for, validation first.

    Args:
        lines: The runs.
        room: How many letters fit side by side; None for any number.
    """
    if not lines:
        return []
    known = dict.fromkeys(name for line in lines for name in line.last)
    values = sorted(known, key=lambda name: not name.startswith("val_"))[:_MOST_VALUES]
    while True:
        rows = [(*_HEAD, *values)]
        for line in lines:
            seen = (line.last.get(name) for name in values)
            cells = ["-" if value is None else decimal(value) for value in seen]
            rows.append((*line.words, *cells))
        drawn = draw_rows(rows, (*_IS_NUMBER, *(True for _ in values)))
        is_wide = room is not None and max(map(len, drawn)) > room
        if not is_wide or len(values) <= _FEWEST_VALUES:
            return drawn
        values.pop()


def _running(layout: Layout) -> str:
    """Says which process has a run; empty where none has."""
    try:
        holder = find_holder(layout.lock)
    except OSError:
        return "unknown"
    if holder is None:
        return ""
    return "running" if holder.pid is None else f"running, process {holder.pid}"


def _room() -> int | None:
    # A table that goes into a file or another program is not cut.
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
