"""`ownloop show`: what is in a run's folder, and its history as a file."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ownloop.checkpoints import Store
from ownloop.cli.commands import ShowRun
from ownloop.cli.stored import (
    SavedRun,
    bytes_below,
    find_run,
    lost_checkpoint,
    newest,
    read_saved,
    state_at_rest,
)
from ownloop.cli.table import draw_rows, size_in_words
from ownloop.counts import counted
from ownloop.errors import CheckpointError, FolderError, OwnloopError
from ownloop.folder import Layout, find_holder
from ownloop.history.database import read_database

_TITLE_WIDTH: Final = 13
_WIDTH: Final = 88
_LAST_LINES: Final = 10
_LAST_BYTES: Final = 1 << 16


def report(wish: ShowRun) -> int:
    """Prints what is there, or does what is wished.

    Returns:
        0, or 1 where a part of it could not be read.

    Raises:
        OwnloopError: There is no run, or what was wished cannot be done.
    """
    layout = find_run(wish.folder)
    if not (wish.log or wish.history or wish.plot):
        return _print_all(layout)
    if wish.history is not None:
        _write(layout, wish.history)
    if wish.plot is not None:
        _draw(layout, wish.plot)
    if wish.log:
        _copy_log(layout)
    return 0


def _print_all(layout: Layout) -> int:
    code = 0
    for part in (_head, _place, _checkpoints, _nonfinite, _history, _log):
        try:
            for line in part(layout):
                print(line)
        except OwnloopError as error:
            print(f"ownloop: error: {error}", file=sys.stderr)
            code = 1
    return code


def _head(layout: Layout) -> Iterator[str]:
    yield _line("run", f"{layout.folder}, {size_in_words(bytes_below(layout.folder))}")
    yield _line("identity", layout.read_identity())
    try:
        holder = find_holder(layout.lock)
    except OSError as error:
        yield _line(
            "state", f"unknown: {layout.lock} cannot be read ({error.strerror})"
        )
    else:
        state = f"running: {holder}" if holder else _state_at_rest(layout)
        yield _line("state", state)


def _state_at_rest(layout: Layout) -> str:
    try:
        store = _store(layout)
        return state_at_rest(layout, layout.read_identity(), newest(store))
    except OwnloopError:  # The next part says why.
        return "not running"


def _place(layout: Layout) -> Iterator[str]:
    store = _store(layout)
    saved = newest(store)
    if saved is None:
        lost = lost_checkpoint(layout, store)
        ends = "nothing yet: the run would begin anew"
        if lost is not None:
            ends = f"none is left, though {lost} was: the run cannot be continued"
        yield _line("saved", ends)
        return
    yield _line("saved", f"{saved.name}: {place_in_words(saved)}")
    yield _line("bits", _exactness_in_words(saved))
    for words in saved.doubts:
        yield _paragraph("", words)
    runs_on = (
        f"{name} {_plain(value)}"
        for name, value in saved.fingerprint.items()
        if name != "objects" and value is not None
    )
    yield _paragraph("made with", ", ".join(runs_on))
    for step, kinds in saved.kinds.items():
        for kind in sorted(kinds):
            yield _line("program", f"{kind}: {step}")


def _exactness_in_words(saved: SavedRun) -> str:
    if saved.inexact:
        return "inexact: it was continued although something differed"
    if saved.doubts:
        return "exact, if the script itself chose what was other than before:"
    return "exact: wherever it was interrupted, they are those of one process"


def place_in_words(saved: SavedRun) -> str:
    """Returns, in words, where in the user's code a run was saved.

    Args:
        saved: What a checkpoint says of its run.
    """
    place = saved.place
    where = f"step {saved.step:,}"
    if place.epoch is None:
        done = counted(saved.epoch, "epoch is done", "epochs are done")
        ending = place.endings[-1] if place.endings else None
        if ending is None and place.round - 1 in place.left:
            ending = "the loop was left"
        return f"{where}, {done}" + (f": {ending}" if ending else "")
    if place.open is not None:
        return f"{where}, in epoch {place.epoch:,}, batch {place.open['batch']:,}"
    if place.is_inside:
        return f"{where}, in epoch {place.epoch:,}, between two passes"
    return f"{where}, at the start of epoch {place.epoch:,}"


def _checkpoints(layout: Layout) -> Iterator[str]:
    store = _store(layout)
    rows = [("checkpoint", "epochs", "size", "")]
    for name in store.names():
        size = size_in_words(bytes_below(layout.checkpoints / name))
        try:
            rows.append((name, f"{read_saved(store, name).epoch:,}", size, ""))
        except CheckpointError as error:
            if (layout.checkpoints / name).exists():  # the run deletes older ones
                rows.append((name, "?", size, str(error)))
    if len(rows) > 1:
        yield ""
        yield from draw_rows(rows, (False, True, True, False))


def _nonfinite(layout: Layout) -> Iterator[str]:
    """Yields a table of the steps that made something NaN or infinite and are kept.

    A run keeps the first of them and the latest nine, so there may have been others.
    """
    store = Store(layout.nonfinite, run=layout.read_identity())
    words = ("epoch", "pass", "batch", "cause")
    rows: list[tuple[str, ...]] = [("not finite", *words)]
    for name in store.names():
        try:
            meta = store.meta(name)
            rows.append((name, *(str(meta.get(word, "?")) for word in words)))
        except CheckpointError as error:
            if (layout.nonfinite / name).exists():  # the run deletes some
                rows.append((name, "?", "?", "?", str(error)))
    if len(rows) > 1:
        yield ""
        yield from draw_rows(rows, (False, True, False, True, False))


def _history(layout: Layout) -> Iterator[str]:
    if layout.history.exists():
        yield ""
        yield repr(read_database(layout.history, steps=False))


def _log(layout: Layout) -> Iterator[str]:
    try:
        with open(layout.log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LAST_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not _store(layout).names():
            return  # The run has only just begun.
        raise _unreadable(layout.log, error) from error
    if lines:
        yield ""
        yield f"The last lines of {layout.log.name}"
        yield from (f"  {line}" for line in lines[-_LAST_LINES:])


def _copy_log(layout: Layout) -> None:
    """Prints the log as it is, piece by piece: it may be larger than the memory."""
    sys.stdout.flush()
    try:
        # An error of what is written to is none of the log's.
        file = open(layout.log, "rb")  # noqa: SIM115
    except OSError as error:
        raise _unreadable(layout.log, error) from error
    with file:
        shutil.copyfileobj(file, sys.stdout.buffer)


def _write(layout: Layout, path: Path) -> None:
    history = read_database(layout.history, steps=path.suffix.lower() == ".json")
    write = history.to_csv if path.suffix.lower() == ".csv" else history.to_json
    try:
        write(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    print(f"wrote {counted(len(history), 'epoch')} to {path}")


def _draw(layout: Layout, path: Path) -> None:
    history = read_database(layout.history, steps=False)
    try:
        history.plot(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    print(f"drew {counted(len(history), 'epoch')} to {path}")


def _store(layout: Layout) -> Store:
    return Store(layout.checkpoints, run=layout.read_identity())


def _line(title: str, words: str) -> str:
    return title.ljust(_TITLE_WIDTH) + words


def _paragraph(title: str, words: str) -> str:
    return textwrap.fill(
        words,
        _WIDTH,
        initial_indent=title.ljust(_TITLE_WIDTH),
        subsequent_indent=" " * _TITLE_WIDTH,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _unreadable(path: Path, error: OSError) -> FolderError:
    return FolderError(
        f"{path} cannot be read: {error.strerror}. Expected the text that the run "
        "wrote. Put it back, or see to its permissions."
    )


def _unwritable(path: Path, error: OSError) -> OwnloopError:
    return OwnloopError(
        f"{path} cannot be written: {error.strerror}. Expected a name in a folder in "
        "which we may make files. Choose another."
    )
