"""Whoever only looks leaves no trace, and is right while the run writes."""

import os
import shutil
import subprocess
import sys

import pytest

from ownloop.errors import FolderError
from ownloop.history import History
from ownloop.history.asking import ask
from ownloop.history.database import Database, read_database

LEFT = """
import os, sys
from ownloop.history import History
from ownloop.history.database import Database

database, history, records = Database(sys.argv[1]), History(), []
history.follow(records.append)
database.open(run="r1")
history.record_epoch(1, step=10)
database.append(records)
if sys.argv[2] == "kill":
    os._exit(9)  # the log stays beside the file
"""

KILLED_WITHIN_A_COMMIT = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = DELETE")
connection.execute("PRAGMA cache_size = 1")  # so that pages are written before its end
connection.execute("BEGIN")
for number in range(2, 10_000):
    connection.execute("INSERT INTO epochs VALUES (?, 0)", (number,))
os._exit(9)
"""


def leave(path, how):
    subprocess.run([sys.executable, "-c", LEFT, path, how], check=False)


def content(folder):
    return {item.name: item.read_bytes() for item in folder.iterdir()}


def test_a_run_that_ended_is_read_and_nothing_is_left_beside_it(path):
    leave(path, "exit")
    before = content(path.parent)
    assert list(before) == ["history.db"]
    assert len(read_database(path)) == 1
    assert content(path.parent) == before


def test_a_run_that_was_killed_is_read_with_its_log_which_stays(path):
    leave(path, "kill")
    before = content(path.parent)
    assert before["history.db-wal"]
    assert len(read_database(path)) == 1
    after = content(path.parent)
    # SQLite's index of the log is shared memory in the form of a file.
    assert before.pop("history.db-shm") is not None
    assert after.pop("history.db-shm") is not None
    assert after == before


def test_a_run_that_was_killed_without_a_log_is_told_and_stays_to_be_mended(path):
    leave(path, "exit")
    subprocess.run([sys.executable, "-c", KILLED_WITHIN_A_COMMIT, path], check=False)
    before = content(path.parent)
    assert before["history.db-journal"]
    words = r"killed in the middle\. Expected .* half written\. Let the run go on"
    with pytest.raises(FolderError, match=words):
        read_database(path)
    assert content(path.parent) == before
    database = Database(path, journal="delete")
    database.open(run="r1")
    database.close()
    assert len(read_database(path)) == 1


def test_the_log_of_a_file_that_was_emptied_is_not_deleted(path):
    leave(path, "kill")
    path.write_bytes(b"")
    before = content(path.parent)
    with pytest.raises(FolderError, match=r"is no history: it is empty"):
        read_database(path)
    assert content(path.parent) == before


def test_a_run_that_begins_in_the_middle_of_a_question_is_seen_whole(path):
    leave(path, "exit")
    database, history, records = Database(path), History(), []
    asked = []

    def question(connection):
        asked.append(connection)
        if len(asked) == 1:
            history.follow(records.append)
            database.open(run="r1")
            history.record_epoch(2, step=20)
            database.append(records)
        return connection.execute("SELECT count(*) FROM epochs").fetchone()

    assert ask(path.absolute(), question, run="r1") == (2,)
    assert len(asked) == 2
    database.close()


def test_a_question_for_another_run_is_refused(path):
    leave(path, "exit")
    with pytest.raises(FolderError, match=r"of the run 'r1'\. Expected .*'r2'"):
        ask(path.absolute(), lambda connection: None, run="r2")


def test_a_question_about_a_damaged_file_is_asked_once(path):
    leave(path, "exit")
    asked = []

    def question(connection):
        asked.append(connection)
        return connection.execute("SELECT * FROM elsewhere").fetchone()

    with pytest.raises(FolderError, match="no such table: elsewhere"):
        ask(path.absolute(), question, run=None)
    assert len(asked) == 1


@pytest.mark.skipif(os.name == "nt", reason="what is open cannot be copied there")
def test_a_copy_of_a_run_that_ended_is_read_where_nothing_may_be_written(
    path, tmp_path
):
    leave(path, "exit")
    folder = tmp_path / "archive"
    folder.mkdir()
    shutil.copy(path, folder)
    folder.chmod(0o500)
    try:
        assert len(read_database(folder / path.name)) == 1
    finally:
        folder.chmod(0o700)
