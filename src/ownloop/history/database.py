"""A history as an SQLite file that grows with the run, and that anybody may read.

Owns the file `history.db`: writing down what a `History` records, and reading the same
numbers from it, bit for bit. Decides nothing: the run says when to write, and which
rows belong to a checkpoint.

While the run writes, any program that reads SQLite may ask it, and never waits::

    sqlite3 history.db "SELECT step, value FROM every_step WHERE name = 'train_loss'"

Three views are made for such questions, with one number in each row:

    every_step   name, step, value           a value of each step
    every_look   name, step, epoch, value    a value of each finished pass
    every_epoch  epoch, step, name, value    the last look of each closed epoch

Below them lie four tables to which rows are only added, and notes about the file:

    names   id, name, kind, pass, key, shape   a column: kind 'step' or 'look'
    steps   id, name, step, value              name is an id of names
    looks   id, name, step, epoch, value       an array is a BLOB of float64
    epochs  number, step                       the closed epochs
    meta    key, value                         format, version, run, mark, saved

How -0.0 and NaN are kept is said in `cells`. What was recorded lies in the same rows
however the run was cut into chunks: the values of a step stand next to each other.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Final, Literal, final

from ownloop.errors import FolderError
from ownloop.history import schema
from ownloop.history.asking import ask
from ownloop.history.connection import (
    choose_journal,
    connect,
    one_moment,
    telling,
    wait_for_disk,
)
from ownloop.history.history import History
from ownloop.history.reading import read_history, read_tail
from ownloop.history.records import Record
from ownloop.history.tail import Tail
from ownloop.history.tally import TABLES, Mark
from ownloop.history.verification import verify

_CUT: Final = {
    "names": "DELETE FROM names WHERE id > ?",
    "steps": "DELETE FROM steps WHERE id > ?",
    "looks": "DELETE FROM looks WHERE id > ?",
    "epochs": "DELETE FROM epochs WHERE number NOT IN "
    "(SELECT number FROM epochs ORDER BY number LIMIT ?)",
}


@final
class Database:
    """The file that mirrors a history.

    Use it from one thread at a time, and from the process that opened it.

    Args:
        path: The file. Nothing happens to it before `open`.
        journal: How SQLite keeps the file whole: "wal" lets others read while the run
            writes; "delete" is for a folder that several machines share, where there
            is no WAL. Where SQLite refuses "wal" it is "delete" as well.

    Example:
        >>> database, records = Database("history.db"), []
        >>> database.open(run="example")
        >>> history = History()
        >>> history.follow(records.append)
        >>> history.record_pass("val", {"loss": 0.5}, step=10)
        >>> database.append(records)
        >>> database.mark().looks, database.load().lowest("val_loss").value
        (1, 0.5)
        >>> database.close()
    """

    def __init__(
        self, path: str | PathLike[str], *, journal: Literal["wal", "delete"] = "wal"
    ) -> None:
        self.path = Path(path).absolute()
        self._journal: str = journal
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        # None: not known, and to be read from the file before anything is added.
        self._tail: Tail | None = None
        # What was verified last, and where it ends; until something is added.
        self._verified: tuple[Mark, Tail] | None = None

    # ------------------------------------------------------------ open and close

    def open(self, *, run: str) -> None:
        """Opens the file, or makes it.

        Args:
            run: The identity of the run, which the file carries.

        Raises:
            FolderError: The file belongs to another run, is no history, is of another
                format, or cannot be used.
        """
        if self._connection is not None:
            raise FolderError(
                f"{self.path} is open already. Expected one open at a time. Call "
                "close() first."
            )
        with telling(self.path, "opened"):
            if not self.path.exists():
                schema.create(self.path, run)
            connection = connect(self.path, "rw")
            try:
                schema.check(connection, self.path, run)
                self._journal = choose_journal(connection, self._journal)
            except BaseException:
                connection.close()
                raise
        self._connection, self._process = connection, os.getpid()
        self._tail = self._verified = None

    @property
    def journal(self) -> str:
        """What keeps the file whole: "wal", or "delete" where SQLite refused that."""
        return self._journal

    def close(self) -> None:
        """Closes the file; a second time does nothing. What was appended stays.

        Where nobody else has it open, no log is left beside it. Then the file can be
        copied alone, and read from where nothing may be written.
        """
        connection, self._connection, self._tail = self._connection, None, None
        if connection is None:
            return
        if self._process == os.getpid():
            # Where somebody reads it the log stays, and belongs to the file.
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA busy_timeout = 0")
                connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()

    # ------------------------------------------------------------------- writing

    def append(self, records: Iterable[Record]) -> None:
        """Writes down all of the records, or none.

        A reader sees them at once, and they survive the death of this process. Once
        `mark` was called, they survive the death of the machine as well.

        Raises:
            FolderError: The file cannot be written, for instance as the disk is full.
        """
        with self._transaction("written") as connection:
            tail = self._tail or read_tail(connection)
            # Whatever interrupts us, the file says where it ends.
            self._tail = self._verified = None
            for record in records:
                tail.add(connection, record)
        self._tail = tail

    def mark(self) -> Mark:
        """Makes all that was appended survive a power cut, and returns how much it is.

        Raises:
            FolderError: The file cannot be written.
        """
        with telling(self.path, "written"):
            # A commit that waits for the disk takes along all commits before it, which
            # are in the same log.
            wait_for_disk(self._open_connection(), True)
        with self._transaction("written") as connection:
            tail, self._tail = self._tail or read_tail(connection), None
            mark = tail.tally.mark()
            _note(connection, mark)
        self._tail = tail
        with telling(self.path, "written"):
            wait_for_disk(self._open_connection(), False)
        return mark

    def verify(self, mark: Mark) -> None:
        """Checks that all that a mark is about is there.

        A call of `cut_back` with the same mark then need not check it again.

        Raises:
            FolderError: It is not all there, or was altered.
        """
        with (
            telling(self.path, "read"),
            one_moment(self._open_connection()) as connection,
        ):
            self._verified = mark, verify(connection, self.path, mark)

    def cut_back(self, mark: Mark) -> None:
        """Takes away all that was recorded after a mark, once the rest is verified.

        Raises:
            FolderError: What the mark is about is not all there, or was altered. The
                file stays as it was.
        """
        known, self._tail, self._verified = self._verified, None, None
        with self._transaction("cut back") as connection:
            if known is not None and known[0] == mark:
                tail = known[1]
            else:
                tail = verify(connection, self.path, mark)
            for table in TABLES:
                connection.execute(_CUT[table], (tail.tally[table],))
            _note(connection, mark)
        self._tail = tail

    def note_saved(self, checkpoint: str) -> None:
        """Notes the name of a checkpoint that was saved, in case none is there later.

        Raises:
            FolderError: The file cannot be written.
        """
        with self._transaction("written") as connection:
            connection.execute("REPLACE INTO meta VALUES ('saved', ?)", (checkpoint,))

    # ------------------------------------------------------------------- reading

    def saved(self) -> str | None:
        """Returns the last name given to `note_saved`; None: nothing was saved yet.

        Raises:
            FolderError: The file cannot be read, or is damaged.
        """
        with telling(self.path, "read"):
            return _saved(self._open_connection())

    def has_rows(self) -> bool:
        """Returns whether anything was recorded.

        Raises:
            FolderError: The file cannot be read, or is damaged.
        """
        any_row = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in TABLES)
        with telling(self.path, "read"):
            (found,) = self._open_connection().execute(f"SELECT {any_row}").fetchone()
        return bool(found)

    def load(self) -> History:
        """Returns the history that the file holds: the same numbers, bit for bit.

        Raises:
            FolderError: The file cannot be read, or is damaged.
        """
        with (
            telling(self.path, "read"),
            one_moment(self._open_connection()) as connection,
        ):
            return read_history(connection)

    # -------------------------------------------------------------------- inside

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise FolderError(
                f"{self.path} is not open. Expected an open file. Call open() first."
            )
        if self._process != os.getpid():
            raise FolderError(
                f"{self.path} was opened by the process {self._process}, of which "
                f"this one ({os.getpid()}) is a fork. Expected only that one to use "
                "it. Open the file here under another Database."
            )
        return self._connection

    @contextmanager
    def _transaction(self, done: str) -> Iterator[sqlite3.Connection]:
        with telling(self.path, done):
            connection = self._open_connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite may have ended it by itself
                    connection.execute("ROLLBACK")
                raise


def _note(connection: sqlite3.Connection, mark: Mark) -> None:
    """Writes the mark into the file, too, for people: nothing here reads it."""
    content = json.dumps(mark.to_json())
    connection.execute("REPLACE INTO meta VALUES ('mark', ?)", (content,))


def read_database(path: str | PathLike[str], *, steps: bool = True) -> History:
    """Returns the history in a file, which a run may be writing now.

    Nothing is written, and the run is not held up.

    Args:
        path: A file `history.db`.
        steps: Whether the values of each step are wanted, which are most of the file.

    Raises:
        FolderError: There is no such file, or it is no history, or damaged.
    """
    return ask(Path(path).absolute(), lambda c: read_history(c, steps=steps), run=None)


def read_saved_name(path: str | PathLike[str], *, run: str | None) -> str | None:
    """Returns the last name given to `note_saved`, perhaps while the run writes.

    Args:
        path: A file `history.db`.
        run: The run whose history it must be; None takes any.

    Raises:
        FolderError: There is no such file, or it is no history, or damaged.
    """
    return ask(Path(path).absolute(), _saved, run=run)


def verify_database(path: str | PathLike[str], mark: Mark, *, run: str | None) -> None:
    """Checks that a file holds all that a mark is about, perhaps while the run writes.

    Nothing is written, and the run is not held up.

    Args:
        path: A file `history.db`.
        mark: How much there must be; later rows may follow.
        run: The run whose history it must be; None takes any.

    Raises:
        FolderError: There is no such file, or it is damaged, altered or another run's.
    """
    absolute = Path(path).absolute()
    ask(absolute, lambda connection: verify(connection, absolute, mark), run=run)


def _saved(connection: sqlite3.Connection) -> str | None:
    found = connection.execute("SELECT value FROM meta WHERE key = 'saved'")
    return next((str(name) for (name,) in found), None)
