"""Opening an SQLite file, and saying in our words what SQLite complains about.

Knows SQLite and nothing of what is in the file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ownloop.errors import FolderError

Mode: TypeAlias = Literal["rw", "ro", "immutable"]

_QUERIES: Final[dict[Mode, str]] = {
    "rw": "mode=rw",
    "ro": "mode=ro",
    "immutable": "mode=ro&immutable=1",
}

PATIENCE_SECONDS: Final = 30.0
"""How long we wait for a program that writes, or without WAL reads."""

_PAGES_IN_LOG: Final = 4_000
"""About 16 MB of new pages before they move from the log to the database."""

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "Expected to be the only program that writes it. Close the "
    "one that holds it open.",
    sqlite3.SQLITE_CANTOPEN: "Expected a file that we may open. See that it exists, "
    "and to its permissions.",
    sqlite3.SQLITE_CORRUPT: "Expected a whole database, as ownloop wrote it. Put back "
    "a copy of it, or start in a new folder.",
    sqlite3.SQLITE_FULL: "Expected room for more. Free some; what was marked before "
    "is kept.",
    sqlite3.SQLITE_IOERR: "Expected a disk with room that works. Look at it; what was "
    "marked before is kept.",
    sqlite3.SQLITE_NOTADB: "Expected a file that ownloop wrote. Move it away, or "
    "choose another folder.",
    sqlite3.SQLITE_READONLY: "Expected a file and a folder that we may write. See to "
    "their permissions, or choose another folder.",
    sqlite3.SQLITE_READONLY_ROLLBACK: "Expected a file with nothing half written. Let "
    "the run go on, which undoes it, or any program that may write, such as `sqlite3 "
    "history.db .tables`.",
}


def connect(path: Path, mode: Mode) -> sqlite3.Connection:
    """Opens a file that exists, without transactions that begin by themselves.

    Args:
        path: The file, absolute.
        mode: Whether it is opened for reading and writing, for reading, or for reading
            what nobody writes. In the last case SQLite makes no log beside it.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    return sqlite3.connect(
        f"{path.as_uri()}?{_QUERIES[mode]}",
        uri=True,
        timeout=PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time, but not always the same
    )


def choose_journal(connection: sqlite3.Connection, journal: str) -> str:
    """Sets how the file is kept whole, and returns what SQLite agreed to."""
    (agreed,) = connection.execute(f"PRAGMA journal_mode = {journal}").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_IN_LOG}")
    # Only macOS knows this: there, fsync alone does not reach the disk.
    connection.execute("PRAGMA fullfsync = ON")
    wait_for_disk(connection, False)
    return str(agreed)


def wait_for_disk(connection: sqlite3.Connection, wait: bool) -> None:
    """Sets whether a commit returns only when the disk has it."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Lets a block read the file as of one moment, whatever others write meanwhile."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        if connection.in_transaction:  # SQLite ends it by itself where it must
            connection.execute("ROLLBACK")


@contextmanager
def telling(path: Path, done: str) -> Iterator[None]:
    """Turns what SQLite and the system complain about into an error with the file.

    Args:
        path: The file.
        done: What was to be done with it, as a participle such as `"read"`.

    Raises:
        FolderError: In place of an `sqlite3.Error` or an `OSError`.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        # Python's module and ours complain without a code; its low byte is the kind.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        kind = code & 0xFF
        why, advice = str(error), _ADVICE.get(kind, _ADVICE[sqlite3.SQLITE_CORRUPT])
        if code == sqlite3.SQLITE_READONLY_ROLLBACK:
            # Only without WAL, where a reader would have to undo what was begun.
            why, advice = "whoever wrote it was killed in the middle", _ADVICE[code]
        elif path.is_dir():
            why, advice = "it is a folder", _ADVICE[sqlite3.SQLITE_NOTADB]
        elif not path.parent.is_dir():
            why, advice = "its folder is missing", _ADVICE[sqlite3.SQLITE_CANTOPEN]
        elif isinstance(error, OSError):
            why, advice = str(error.strerror), _ADVICE[sqlite3.SQLITE_READONLY]
        raise FolderError(f"{path} cannot be {done}: {why}. {advice}") from error
