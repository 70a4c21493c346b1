"""Whatever happens to the process or the file: right numbers, or an error by name."""

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import numpy as np
import pytest

from ownloop.errors import FolderError
from ownloop.history import History, connection
from ownloop.history.database import Database, read_database
from ownloop.history.tally import Mark


def alter(path, order):
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.execute(order)


# --------------------------------------------------------------------------- deaths

WRITER = """
import json, sys
import numpy as np
from ownloop.history.database import Database
from ownloop.history.tally import Mark

path, mark = sys.argv[1], Mark.from_json(json.loads(sys.argv[2]))
database = Database(path)
database.open(run="r1")
database.cut_back(mark)
history, records = database.load(), []
history.follow(records.append)
step = len(history.steps.get("train_loss", ()))
while True:
    for _ in range(3):
        steps = np.arange(step + 1, step + 51)
        history.record_steps("train", {"loss": 1 / steps, "rate": -1.0 * steps}, steps)
        step += 50
        history.record_pass("train", {"loss": 1 / step}, step=step, epoch=step // 50)
        history.record_epoch(step // 50, step=step)
        database.append(records)
        records.clear()
    print(json.dumps(database.mark().to_json()), flush=True)
"""


def test_what_was_marked_survives_kill_9_at_any_moment(path, opened, table):
    kills, chance = 16, random.Random(1)
    mark = Mark.of_nothing()
    for kill in range(kills):
        arguments = [path, json.dumps(mark.to_json())]
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE
        )
        if kill % 4:  # some of them die before, or while, they open the file
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
        else:
            time.sleep(chance.uniform(0.1, 0.4))
        child.send_signal(signal.SIGKILL)
        said = child.communicate()[0].decode()
        assert child.returncode == -signal.SIGKILL
        complete = said[: said.rfind("\n") + 1].splitlines()
        if complete:
            mark = Mark.from_json(json.loads(complete[-1]))
        if path.exists():
            assert table(path, "PRAGMA integrity_check") == [("ok",)]
            steps = read_database(path).steps.get("train_loss", np.array([]))
            assert 2 * len(steps) >= mark.steps  # before anything is cut back
            assert steps.tobytes() == (1 / np.arange(1, len(steps) + 1)).tobytes()
    assert mark.steps > 150 * kills // 2
    database = opened(path)
    database.cut_back(mark)
    history = database.load()
    steps = np.arange(1, mark.steps // 2 + 1)
    assert history.steps["train_loss"].tobytes() == (1 / steps).tobytes()
    assert history.steps["train_rate"].tobytes() == (-1.0 * steps).tobytes()
    assert history["train_loss"].tobytes() == (1 / steps[49::50]).tobytes()
    assert len(history) == mark.epochs == mark.looks == len(steps) // 50
    database.close()


def run_child(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_full_disk_is_an_error_with_the_name_and_what_was_marked_stays(path, table):
    done = run_child(
        f"""
        import resource, sys
        import numpy as np
        from ownloop.history import History
        from ownloop.history.database import Database

        database, history, records = Database(sys.argv[1]), History(), []
        database.open(run="r1")
        history.follow(records.append)
        history.record_steps("train", {{"loss": np.ones(1000)}}, np.arange(1000))
        database.append(records)
        print(database.mark().steps)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, {resource.RLIM_INFINITY}))
        for _ in range(100):
            database.append(records)
        """,
        path,
    )
    assert (
        "history.db cannot be written: disk I/O error. Expected a disk" in done.stderr
    )
    assert "Look at it; what was marked before is kept." in done.stderr
    assert done.stdout == "1000\n"
    assert table(path, "PRAGMA integrity_check") == [("ok",)]
    history = read_database(path)
    assert len(history.steps["train_loss"]) % 1000 == 0
    assert len(history.steps["train_loss"]) >= 1000


# Other tests of this process may have imported JAX, which warns of every fork. The
# child here only looks and ends.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_after_a_fork_may_not_use_it_and_does_no_harm(
    path, bits, filled, table
):
    database, history = filled(path)
    child = os.fork()
    if child == 0:
        try:
            database.append([])
        except FolderError as error:
            database.close()
            os._exit(0 if "is a fork" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    records = []
    history.follow(records.append)
    history.record_epoch(2, step=14)
    database.append(records)
    database.mark()
    assert bits(database.load()) == bits(history)
    database.close()
    assert table(path, "PRAGMA integrity_check") == [("ok",)]


def test_another_program_that_writes_is_waited_for_and_then_named(
    path, monkeypatch, filled
):
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.05)
    database, _ = filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FolderError, match=r"database is locked\. .* Close the one"):
            database.mark()
        other.execute("ROLLBACK")
    assert database.mark().looks == 6
    database.close()


# -------------------------------------------------------------- what is not accepted


def test_a_history_of_another_run_is_refused(path, filled):
    filled(path)[0].close()
    with pytest.raises(FolderError, match=r"run 'r1'\. Expected that of the run 'r2'"):
        Database(path).open(run="r2")
    assert read_database(path).names


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0", b"\0" * 8192])
def test_a_file_that_is_no_history_is_refused_and_stays(path, content, opened):
    path.write_bytes(content)
    with pytest.raises(FolderError, match=r"history\.db (is no history|cannot be)"):
        opened(path)
    with pytest.raises(FolderError, match=r"history\.db (is no history|cannot be)"):
        read_database(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["history.db"]


def test_the_database_of_another_program_is_refused_and_stays(path, opened):
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE meta (key, value)")
    content = path.read_bytes()
    with pytest.raises(
        FolderError, match=r"database of another program .*Move it away"
    ):
        opened(path)
    assert path.read_bytes() == content


def test_a_history_that_does_not_say_whose_it_is_is_refused(path, opened, filled):
    filled(path)[0].close()
    alter(path, "DELETE FROM meta WHERE key = 'run'")
    for look in (opened, read_database):
        with pytest.raises(FolderError, match=r"whose it is\. Expected a whole"):
            look(path)


def test_a_history_of_a_later_version_is_refused(path, opened, filled):
    filled(path)[0].close()
    alter(path, "PRAGMA user_version = 2")
    with pytest.raises(FolderError, match=r"format version 2\. Expected version 1"):
        opened(path)
    with pytest.raises(FolderError, match=r"format version 2\. Expected version 1"):
        read_database(path)


def test_a_folder_in_its_place_and_a_folder_that_is_missing_are_refused(
    tmp_path, opened
):
    (tmp_path / "history.db").mkdir()
    with pytest.raises(
        FolderError, match=r"history\.db cannot be opened: it is a fold"
    ):
        opened(tmp_path / "history.db")
    with pytest.raises(FolderError, match=r"cannot be opened: its folder is missing"):
        opened(tmp_path / "none" / "history.db")
    with pytest.raises(FolderError, match=r"cannot be read: unable to open"):
        read_database(tmp_path / "none.db")


def test_open_and_close_come_in_pairs(path, opened):
    with pytest.raises(FolderError, match=r"is not open\. .* Call open\(\) first"):
        Database(path).mark()
    database = opened(path)
    with pytest.raises(FolderError, match=r"is open already\. .* Call close\(\) first"):
        database.open(run="r1")
    database.close()
    with pytest.raises(FolderError, match=r"is not open"):
        database.load()


def test_the_log_of_a_database_that_was_deleted_is_not_played_into_a_new_one(
    path, bits, opened, filled
):
    database, _ = filled(path)
    log = path.with_name("history.db-wal")
    content = log.read_bytes()
    database.close()
    path.unlink()
    log.write_bytes(content)
    database = opened(path)
    assert bits(database.load()) == bits(History())
    database.close()


@pytest.mark.parametrize("rows", ["names", "steps", "looks", "epochs"])
def test_a_file_that_is_short_of_rows_is_refused(path, rows, filled):
    database, _ = filled(path)
    mark = database.mark()
    key = "number" if rows == "epochs" else "id"
    alter(path, f"DELETE FROM {rows} WHERE {key} = (SELECT max({key}) FROM {rows})")
    count = getattr(mark, rows)
    words = (
        rf"holds {count - 1} rows of {rows}\. Expected at least {count}, .* Put back"
    )
    with pytest.raises(FolderError, match=words):
        database.cut_back(mark)
    database.close()


@pytest.mark.parametrize(
    "order",
    [
        "UPDATE steps SET value = value + 1e-9 WHERE id = 1",
        "UPDATE steps SET value = 0.0 WHERE id = 7",
        "UPDATE steps SET value = NULL WHERE id = 1",
        "UPDATE steps SET step = 7 WHERE id = 1",
        "UPDATE steps SET name = 2 WHERE id = 1",
        "UPDATE steps SET name = 99 WHERE id = 1",
        "UPDATE steps SET value = 'word' WHERE id = 1",
        "UPDATE steps SET step = 'word' WHERE id = 1",
        "UPDATE steps SET value = x'00' WHERE id = 1",
        "UPDATE steps SET id = 99 WHERE id = 1",
        "UPDATE looks SET value = 1 WHERE id = 1",
        "UPDATE looks SET value = x'0102' WHERE id = 2",
        "UPDATE looks SET name = 99 WHERE id = 1",
        "UPDATE looks SET epoch = 2 WHERE id = 1",
        "UPDATE looks SET id = 99 WHERE id = 1",
        "UPDATE epochs SET step = 9",
        "UPDATE epochs SET number = 2",
        "UPDATE names SET name = 'x' WHERE id = 1",
        "UPDATE names SET shape = '[2]' WHERE id = 1",
        "UPDATE names SET shape = 'no' WHERE id = 1",
    ],
)
def test_a_value_that_was_altered_is_noticed_and_the_file_stays(
    path, order, filled, table
):
    database, _ = filled(path)
    mark = database.mark()
    alter(path, order)
    before = table(path, "SELECT * FROM steps"), table(path, "SELECT * FROM looks")
    with pytest.raises(
        FolderError, match=r"history\.db (was altered|cannot be cut ba)"
    ):
        database.cut_back(mark)
    after = table(path, "SELECT * FROM steps"), table(path, "SELECT * FROM looks")
    assert after == before
    database.close()


@pytest.fixture
def larger(path, record, bits, opened):
    """The mark and the bits of a file of many pages, which is closed."""
    database, history, records = opened(path), History(), []
    history.follow(records.append)
    record(history)
    values = np.random.default_rng(1).normal(size=1000)
    columns = {"loss": values, "rate": values}
    history.record_steps("train", columns, np.arange(14, 1014))
    database.append(records)
    mark = database.mark()
    database.close()
    return mark, bits(history)


def damaged(whole, case, chance):
    content = bytearray(whole)
    if case % 3 == 0:  # a bit that flipped
        content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    elif case % 3 == 1:  # a file that ends too early
        content = content[: chance.randrange(len(whole))]
    else:  # a page that was never written
        begin = chance.randrange(len(whole) // 4096) * 4096
        content[begin : begin + 4096] = bytes(4096)
    return content


def test_a_damaged_file_is_refused_or_gives_the_same_bits(path, larger, bits):
    mark, expected = larger
    whole, chance = path.read_bytes(), random.Random(1)
    refusals = []
    for case in range(300):
        for left in path.parent.iterdir():
            left.unlink()
        path.write_bytes(damaged(whole, case, chance))
        database = Database(path)
        try:
            database.open(run="r1")
            database.cut_back(mark)
            assert bits(database.load()) == expected
        except FolderError as error:
            refusals.append(str(error))
        finally:
            database.close()
    assert all("history.db" in refusal for refusal in refusals)
    # What is harmless lies in parts of a page that nothing uses.
    assert len(refusals) > 230


def test_damage_that_would_spoil_only_what_is_written_next_is_noticed_too(path, larger):
    database = Database(path)
    database.open(run="r1")
    database.cut_back(Mark.of_nothing())
    database.close()
    content = bytearray(path.read_bytes())
    # The header says where the list of free pages begins, and pages count from 1.
    begin = (int.from_bytes(content[32:36], "big") - 1) * 4096
    assert begin > 0
    content[begin + 8 : begin + 12] = (2).to_bytes(4, "big")  # which is in use
    path.write_bytes(content)
    database.open(run="r1")
    with pytest.raises(
        FolderError, match=r"is damaged: .* Expected a whole database\."
    ):
        database.cut_back(Mark.of_nothing())
    database.close()


def test_where_sqlite_has_no_write_ahead_log_it_says_so():
    # In memory there is no place for one, as on a disk without shared memory.
    with closing(sqlite3.connect(":memory:")) as memory:
        assert connection.choose_journal(memory, "wal") == "memory"
