"""The database gives back the history, bit for bit, while others read it."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from ownloop.errors import FolderError
from ownloop.history import History
from ownloop.history.connection import connect, one_moment
from ownloop.history.database import read_database
from ownloop.history.reading import read_history
from ownloop.history.tally import Mark


@pytest.fixture(params=["wal", "delete"])
def journal(request):
    return request.param


# -------------------------------------------------------------------------- the law


def test_the_same_numbers_come_back_bit_for_bit(path, journal, bits, opened, filled):
    database, history = filled(path, journal=journal)
    assert database.journal == journal
    assert bits(database.load()) == bits(history)
    database.close()
    assert bits(read_database(path)) == bits(history)
    again = opened(path, journal=journal)
    assert bits(again.load()) == bits(history)
    again.close()


def test_nothing_recorded_is_an_empty_history(path, bits, opened):
    database = opened(path)
    assert database.mark() == Mark.of_nothing()
    assert bits(database.load()) == bits(History())
    database.close()


def test_how_a_run_was_cut_into_chunks_and_appends_leaves_no_trace(
    tmp_path, record, opened, table
):
    marks, rows = set(), set()
    for chunk, at_once in [(1, 1), (3, 2), (7, 100)]:
        path = tmp_path / f"{chunk}.db"
        database, history, records = opened(path), History(), []
        history.follow(records.append)
        record(history, chunk=chunk)
        for begin in range(0, len(records), at_once):
            database.append(records[begin : begin + at_once])
        marks.add(database.mark())
        database.close()
        rows.add(str(table(path, "SELECT * FROM steps")))
    assert len(marks) == len(rows) == 1


def test_an_interrupted_run_ends_with_the_mark_of_one_that_was_not(
    tmp_path, record, bits, opened, filled
):
    whole, _ = filled(tmp_path / "whole.db")
    path = tmp_path / "history.db"
    for committed, lost in [(5, 9), (9, 11), (11, 13)]:
        database = opened(path)
        mark = database.mark()
        assert mark.steps == len(database.load().steps.get("train_loss", ())) * 2
        history = database.load()
        records = []
        history.follow(records.append)
        begin = mark.steps // 2
        record(history, begin=begin, end=committed)
        database.append(records)
        records.clear()
        mark = database.mark()
        record(history, begin=committed, end=lost)
        database.append(records)
        database.cut_back(mark)
        database.close()
    database = opened(path)
    history, records = database.load(), []
    history.follow(records.append)
    record(history, begin=11)
    database.append(records)
    assert database.mark() == whole.mark()
    assert bits(database.load()) == bits(whole.load())
    database.close()
    whole.close()


def test_what_came_after_the_mark_is_taken_away_and_nothing_else(
    path, record, bits, opened
):
    database, history, records = opened(path), History(), []
    history.follow(records.append)
    record(history)
    database.append(records)
    mark, before = database.mark(), bits(history)
    records.clear()
    history.record_steps("train", {"loss": [1.0], "new": [1.0]}, np.array([14]))
    history.record_pass("train", {"loss": 0.5, "new": [1.0]}, step=14, epoch=2)
    history.record_epoch(2, step=14)
    database.append(records)
    assert bits(database.load()) == bits(history) != before
    database.cut_back(mark)
    assert bits(database.load()) == before
    assert database.mark() == mark
    database.close()


def test_looking_takes_nothing_away_and_what_is_added_then_counts(
    path, record, bits, opened
):
    database, history, records = opened(path), History(), []
    history.follow(records.append)
    record(history)
    database.append(records)
    records.clear()
    mark, before = database.mark(), bits(history)
    history.record_steps("train", {"loss": [1.0]}, np.array([14]))
    database.verify(mark)
    database.append(records)
    database.verify(mark)
    assert bits(database.load()) == bits(history) != before
    database.cut_back(mark)
    assert bits(database.load()) == before
    assert database.mark() == mark
    later = replace(mark, steps=mark.steps + 1)
    with pytest.raises(FolderError, match=r"rows of steps\. Expected at least"):
        database.verify(later)
    database.close()


def test_a_history_knows_whether_anything_was_recorded_or_saved(path, record, opened):
    database, history, records = opened(path), History(), []
    assert (database.has_rows(), database.saved()) == (False, None)
    history.follow(records.append)
    record(history)
    database.append(records)
    database.note_saved("step-4")
    database.close()
    database = opened(path)
    assert (database.has_rows(), database.saved()) == (True, "step-4")
    database.cut_back(Mark.of_nothing())
    assert (database.has_rows(), database.saved()) == (False, "step-4")
    database.close()


def test_a_run_without_a_checkpoint_can_be_cut_back_to_nothing(path, bits, filled):
    database, _ = filled(path)
    database.cut_back(Mark.of_nothing())
    assert bits(database.load()) == bits(History())
    database.close()


def test_an_append_is_whole_or_not_at_all(path, bits, filled):
    database, history = filled(path)
    before, records = database.mark(), []
    history.follow(records.append)
    history.record_steps("train", {"loss": [1.0]}, np.array([14]))
    history.record_epoch(2, step=14)
    with pytest.raises(FolderError, match=r"history\.db cannot be written: UNIQUE"):
        database.append([*records, records[-1]])
    assert database.mark() == before
    database.append(records)
    assert bits(database.load()) == bits(history)
    database.close()


def test_a_mark_is_json_and_comes_back(path, filled, table):
    database, _ = filled(path)
    mark = database.mark()
    assert Mark.from_json(json.loads(json.dumps(mark.to_json()))) == mark
    (found,) = table(path, "SELECT value FROM meta WHERE key = 'mark'")
    assert Mark.from_json(json.loads(found[0])) == mark
    database.close()


@pytest.mark.parametrize(
    "change", [{"steps": -1}, {"steps": True}, {"steps": 1.0}, {"x": 1}, {"digest": 3}]
)
def test_what_is_no_mark_is_refused(change):
    content = Mark.of_nothing().to_json() | change
    with pytest.raises(FolderError, match=r"does not say how much .*Expected whole"):
        Mark.from_json(content)
    with pytest.raises(FolderError, match=r"Expected whole numbers"):
        Mark.from_json([content])


# -------------------------------------------------------------------------- readers


def test_a_person_can_ask_it(path, filled, table):
    database, _ = filled(path)
    asked = table(path, "SELECT step, value FROM every_step WHERE name = 'train_loss'")
    assert asked[:5] == [(1, 0.1), (2, 1 / 3), (3, 5e-324), (4, 0.0), (5, 0.0)]
    assert [value for _, value in asked[-3:]] == [2.0**60, None, None]
    looks = table(path, "SELECT * FROM every_look WHERE name LIKE '%loss'")
    assert looks[0] == ("val_loss", 4, 0, 0.0)
    assert looks[1:3] == [("train_loss", 8, 1, None), ("train_loss", 8, 1, 0.25)]
    assert table(path, "SELECT * FROM every_epoch") == [(1, 8, "train_loss", 0.25)]
    meta = dict(table(path, "SELECT key, value FROM meta"))
    assert (meta["format"], meta["version"], meta["run"]) == (
        "ownloop history",
        1,
        "r1",
    )
    database.close()


READER = """
import sqlite3, sys
reader = sqlite3.connect(sys.argv[1], timeout=0)
print("ready", flush=True)
seen = 0
while seen < 2000:
    question = "SELECT count(*), max(step) FROM every_step"
    count, last = reader.execute(question).fetchone()
    assert count == (last or 0) and count >= seen, (count, last, seen)
    seen = count
print(seen)
"""


def test_another_process_reads_while_the_run_writes_and_nobody_waits(path, opened):
    database, history, records = opened(path), History(), []
    history.follow(records.append)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, path], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "ready\n"
    for step in range(1, 2001):
        history.record_steps("train", {"loss": [1 / step]}, np.array([step]))
        database.append(records)
        records.clear()
        if step % 100 == 0:
            database.mark()
    assert reader.communicate(timeout=60)[0] == "2000\n"
    assert reader.returncode == 0
    database.close()


def test_a_reader_in_the_middle_of_its_question_sees_one_moment(path, bits, filled):
    database, history = filled(path)
    before, records = bits(history), []
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM steps").fetchone()
        history.follow(records.append)
        history.record_epoch(2, step=14)
        database.append(records)
        database.mark()
        assert reader.execute("SELECT count(*) FROM epochs").fetchone() == (1,)
        assert bits(read_database(path)) == bits(history) != before
        database.close()  # the log stays, since somebody reads it
    assert bits(read_database(path)) == bits(history)


def test_what_is_written_while_we_read_is_seen_as_a_whole_or_not(path, bits, filled):
    database, history = filled(path)
    before, records, statements = bits(history), [], []
    history.follow(records.append)

    def write_meanwhile(statement):
        statements.append(statement)
        if len(statements) % 4 == 0:
            step = 14 + len(statements)
            history.record_steps("train", {"loss": [1.0]}, np.array([step]))
            history.record_pass("train", {"loss": 1.0}, step=step, epoch=step)
            history.record_epoch(step, step=step)
            database.append(records)
            records.clear()

    with closing(connect(path, "ro")) as reader:
        reader.set_trace_callback(write_meanwhile)
        with one_moment(reader):
            assert bits(read_history(reader)) == before
        reader.set_trace_callback(None)
        with one_moment(reader):
            assert bits(read_history(reader)) == bits(history) != before
    assert len(statements) > 8
    database.close()


def test_a_closed_database_is_one_file(path, bits, filled, table):
    database, history = filled(path)
    database.mark()
    database.close()
    database.close()
    assert os.listdir(path.parent) == ["history.db"]
    # It wants no log either, which nobody could make where nothing may be written.
    assert table(path, "PRAGMA journal_mode") == [("delete",)]
    assert bits(read_database(path)) == bits(history)
