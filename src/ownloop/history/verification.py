"""Whether a history's database still holds what a checkpoint is about, bit for bit.

Looks and changes nothing: what is done about it is the caller's business.
"""

import sqlite3
from pathlib import Path

from ownloop.errors import FolderError
from ownloop.history.reading import read_tail
from ownloop.history.tail import Tail
from ownloop.history.tally import TABLES, Mark


def verify(connection: sqlite3.Connection, path: Path, mark: Mark) -> Tail:
    """Checks that all rows of a mark are there and unaltered; later ones may follow.

    Args:
        connection: A connection to the file, best in a transaction, which sees it as of
            one moment.
        path: The file, for messages.
        mark: How much there must be.

    Returns:
        Where the rows that the mark is about end.

    Raises:
        FolderError: The file is damaged, short of rows, or altered.
        sqlite3.Error: The rows cannot be read, or were not written by us.
    """
    _verify_pages(connection, path)
    _verify_counts(connection, path, mark)
    tail = read_tail(connection, mark)
    found = tail.tally.mark()
    if found != mark:
        raise FolderError(
            f"{path} was altered: the rows that the checkpoint is about have the "
            f"digest {found.digest[:12]}. Expected {mark.digest[:12]}. Put back a copy "
            "of the file, or resume from another checkpoint."
        )
    return tail


def _verify_pages(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise FolderError(
            f"{path} is damaged: {' '.join(found.split())}. Expected a whole "
            "database. Put back a copy of the file, or start in a new folder."
        )


def _verify_counts(connection: sqlite3.Connection, path: Path, mark: Mark) -> None:
    for table in TABLES:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        if count < getattr(mark, table):
            raise FolderError(
                f"{path} holds {count:,} rows of {table}. Expected at least "
                f"{getattr(mark, table):,}, which the checkpoint is about. Put back "
                "the file that belongs to it, or resume from an earlier one."
            )
