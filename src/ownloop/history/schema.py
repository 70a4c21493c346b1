"""The tables of a history's database, and whose database a file is.

Owns the schema, which a person may read and ask, too, and makes a new file of it. The
file names itself: its `application_id` is `ownl`, its `user_version` the version
of the schema, and `meta` holds both in words, and the run.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from ownloop.errors import FolderError

FORMAT: Final = "ownloop history"
VERSION: Final = 1
_APPLICATION: Final = int.from_bytes(b"ownl", "big")

# A BLOB in place of a number is -0.0 or a NaN of unusual bits (see cells.py).
_NUMBER = """CASE
        WHEN typeof({0}.value) <> 'blob' OR names.shape <> '[]' THEN {0}.value
        WHEN {0}.value = x'0000000000000080' THEN 0.0
    END"""

# A table comes last: where a view comes last, SQLite 3.40 does not check free pages.
_SCHEMA: Final = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,   -- pass || '_' || key
    kind TEXT NOT NULL,   -- 'step': a value for each step; 'look': for each pass
    pass TEXT NOT NULL,
    key TEXT NOT NULL,
    shape TEXT NOT NULL,  -- of one value, as JSON: [] is a number
    UNIQUE (name, kind)
);
CREATE TABLE steps (
    id INTEGER PRIMARY KEY,
    name INTEGER NOT NULL REFERENCES names (id),
    step INTEGER NOT NULL,
    value REAL
);
CREATE TABLE looks (
    id INTEGER PRIMARY KEY,
    name INTEGER NOT NULL REFERENCES names (id),
    step INTEGER NOT NULL,
    epoch INTEGER NOT NULL,  -- 0: outside the epochs
    value REAL               -- or a BLOB: float64, little-endian, in C order
);
CREATE TABLE epochs (number INTEGER PRIMARY KEY, step INTEGER NOT NULL);
CREATE VIEW every_step AS
    SELECT names.name AS name, steps.step AS step, {_NUMBER.format("steps")} AS value
    FROM steps JOIN names ON names.id = steps.name;
CREATE VIEW every_look AS
    SELECT names.name AS name, looks.step AS step, looks.epoch AS epoch,
        {_NUMBER.format("looks")} AS value
    FROM looks JOIN names ON names.id = looks.name;
CREATE VIEW every_epoch AS
    SELECT epochs.number AS epoch, epochs.step AS step, names.name AS name,
        {_NUMBER.format("looks")} AS value
    FROM epochs
    JOIN looks ON looks.epoch = epochs.number
    JOIN names ON names.id = looks.name
    WHERE looks.id IN (SELECT max(id) FROM looks GROUP BY name, epoch);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


def create(path: Path, run: str) -> None:
    """Makes a new file; it appears whole or not at all.

    Raises:
        OSError: The folder cannot be written.
        sqlite3.Error: The file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.new")
    # Without its database a journal is a stranger's: SQLite would play it into ours.
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for suffix in ("", "-journal"):
        unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = FULL; BEGIN;" + _SCHEMA)
        meta = {"format": FORMAT, "version": VERSION, "run": run}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
    os.replace(unfinished, path)


def check(connection: sqlite3.Connection, path: Path, run: str | None) -> None:
    """Checks that a database is a history that can be read here, and of this run.

    Raises:
        FolderError: It is no such history.
        sqlite3.Error: It is no database, or damaged.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION:
        raise FolderError(
            f"{path} is no history: it is empty, or a database of another program "
            f"(application_id {application}). Expected a file that ownloop wrote. "
            "Move it away, or choose another folder."
        )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise FolderError(
            f"{path} is a history in format version {version}. Expected version "
            f"{VERSION}, which is all that this ownloop reads. Use the ownloop that "
            "wrote it, or choose another folder."
        )
    row = connection.execute("SELECT value FROM meta WHERE key = 'run'").fetchone()
    if row is None:
        raise sqlite3.DataError("it does not say whose it is")
    (found,) = row
    if run is not None and found != run:
        raise FolderError(
            f"{path} is the history of the run {found!r}. Expected that of the run "
            f"{run!r}, as this folder says. Put back the file that belongs here."
        )
