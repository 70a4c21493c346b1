"""Asking a history's database without leaving a trace, also while the run writes.

Owns how such a file is opened by whoever only looks. Where the run lives, or was
killed, there is a log beside the database, and readers share it with the writer. Where
there is none, a plain reader would make one and leave it there; so the file is then
read as one that nobody changes, and once more if somebody did. Where there is no such
log (`journal="delete"`), what a killed run has half written must be undone first, which
is not for those who only look: until then the file is refused.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from ownloop.errors import FolderError
from ownloop.history import schema
from ownloop.history.connection import Mode, connect, one_moment, telling

_Answer = TypeVar("_Answer")
_Question = Callable[[sqlite3.Connection], _Answer]

_HEADER_BYTES = 20
_IN_WAL_MODE = b"\x02\x02"  # bytes 18 and 19 of the header: write and read version


def ask(path: Path, question: _Question[_Answer], *, run: str | None) -> _Answer:
    """Returns a database's answer to a question, as of one moment; nobody has to wait.

    Args:
        path: A file `history.db`, absolute.
        question: Is called with a connection that is within a transaction.
        run: The run whose history it must be; None takes any.

    Raises:
        FolderError: There is no such file, or it is no history, damaged, or of another
            run.
    """
    with telling(path, "read"):
        before = _stamp(path)
        if before is not None:
            try:
                answer = _ask(path, "immutable", question, run)
            except (sqlite3.Error, FolderError):
                if _stamp(path) == before:
                    raise
            else:
                if _stamp(path) == before:
                    return answer
        return _ask(path, "ro", question, run)


def _ask(
    path: Path, mode: Mode, question: _Question[_Answer], run: str | None
) -> _Answer:
    with closing(connect(path, mode)) as connection:
        schema.check(connection, path, run)
        with one_moment(connection):
            return question(connection)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Returns what changes when an unused file is written; None for a file in use."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER_BYTES)
            state = os.fstat(file.fileno())
    except OSError:
        return None  # SQLite will say why
    has_log = path.with_name(path.name + "-wal").exists()
    # Of an empty file SQLite would delete the log, which may be all that is left.
    if header and (header[18:] != _IN_WAL_MODE or has_log):
        return None
    return state.st_mtime_ns, state.st_size
