"""What the rows of a history's database say: its tail, or the whole history.

Reads in the order in which it was written, and believes nothing: a row that our own
writer cannot have written is an error.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np

from ownloop.errors import LoopError
from ownloop.history.cells import from_cell
from ownloop.history.history import History
from ownloop.history.tail import Tail
from ownloop.history.tally import STEP_ROW, TABLES, Mark, NameRow

_BLOCK: Final = 1 << 18
"""Values of steps that are in memory at a time, besides the history itself."""


def read_tail(connection: sqlite3.Connection, mark: Mark | None = None) -> Tail:
    """Counts and hashes the rows that a mark is about, or all of them.

    Raises:
        sqlite3.Error: The rows cannot be read, or were not written by us.
    """
    counts = _counts(connection, mark)
    tail = Tail()
    with doubting():
        for row in _names(connection, counts["names"]):
            tail.take_name(row)
        shapes = _shapes(connection)
        for rows in _step_blocks(connection, counts["steps"]):
            tail.tally.add_steps(rows)
        for name, step, epoch, cell in _looks(connection, counts["looks"]):
            tail.tally.add_look(name, step, epoch, from_cell(cell, shapes[name]))
        for number, step in _epochs(connection, counts["epochs"]):
            tail.tally.add_epoch(number, step)
    return tail


def read_history(connection: sqlite3.Connection, *, steps: bool = True) -> History:
    """Returns the history of all rows; in a transaction they are those of one moment.

    Args:
        connection: A connection to the file.
        steps: Whether the values of each step are wanted, which are most of the rows.

    Raises:
        sqlite3.Error: The rows cannot be read, or were not written by us.
    """
    with doubting():
        return _history(connection, steps)


def _history(connection: sqlite3.Connection, steps: bool) -> History:
    counts = _counts(connection, None)
    history = History()
    names = {row[0]: row for row in _names(connection, counts["names"])}
    shapes = _shapes(connection)
    waiting = [row for row in names.values() if row[2] == "step"]

    def declare(before: float) -> None:
        # Columns of steps come in the order of their names, also without a value.
        while waiting and waiting[0][0] < before:
            _, _, _, own, key, _ = waiting.pop(0)
            history.record_steps(own, {key: []}, np.array([], np.int64))

    for name, step, epoch, cell in _looks(connection, counts["looks"]):
        declare(before=name)
        _, _, _, own, key, _ = names[name]
        value = from_cell(cell, shapes[name])
        history.record_pass(own, {key: value}, step=step, epoch=epoch)
    declare(before=float("inf"))
    for rows in _step_blocks(connection, counts["steps"] if steps else 0):
        for name in np.unique(rows["name"]).tolist():
            _, _, _, own, key, _ = names[name]
            its = rows[rows["name"] == name]
            history.record_steps(own, {key: its["value"]}, its["step"])
    for number, step in _epochs(connection, counts["epochs"]):
        history.record_epoch(number, step)
    return history


def _counts(connection: sqlite3.Connection, mark: Mark | None) -> dict[str, int]:
    if mark is not None:
        return {table: getattr(mark, table) for table in TABLES}
    counted = (connection.execute(f"SELECT count(*) FROM {table}") for table in TABLES)
    return {t: c.fetchone()[0] for t, c in zip(TABLES, counted, strict=True)}


def _names(connection: sqlite3.Connection, count: int) -> Iterator[NameRow]:
    yield from connection.execute("SELECT * FROM names ORDER BY id LIMIT ?", (count,))


def _shapes(connection: sqlite3.Connection) -> dict[int, tuple[int, ...]]:
    rows = connection.execute("SELECT id, shape FROM names")
    return {number: tuple(json.loads(shape)) for number, shape in rows}


def _step_blocks(connection: sqlite3.Connection, count: int) -> Iterator[np.ndarray]:
    """Returns the rows with the ids 1 to count, of dtype `STEP_ROW`."""
    for begin in range(0, count, _BLOCK):
        limits = (begin, min(begin + _BLOCK, count))
        where = "FROM steps WHERE id > ? AND id <= ?"
        # NumPy takes in numbers alone, at twice the speed; the few others follow.
        number = "CASE typeof(value) WHEN 'real' THEN value ELSE 0.0 END"
        rows = np.fromiter(
            connection.execute(f"SELECT name, step, {number} {where}", limits), STEP_ROW
        )
        if len(rows) != limits[1] - begin:
            raise ValueError(f"rows of steps between {begin:,} and {limits[1]:,} miss")
        others = f"SELECT id, value {where} AND typeof(value) <> 'real'"
        for row, cell in connection.execute(others, limits):
            rows["value"][row - begin - 1] = from_cell(cell)
        yield rows


def _looks(
    connection: sqlite3.Connection, count: int
) -> Iterator[tuple[int, int, int, object]]:
    yield from connection.execute(
        "SELECT name, step, epoch, value FROM looks WHERE id <= ? ORDER BY id", (count,)
    )


def _epochs(connection: sqlite3.Connection, count: int) -> Iterator[tuple[int, int]]:
    yield from connection.execute(
        "SELECT number, step FROM epochs ORDER BY number LIMIT ?", (count,)
    )


@contextmanager
def doubting() -> Iterator[None]:
    """Turns any error that a strange row leads to into one of the database."""
    try:
        yield
    except (ValueError, TypeError, KeyError, LoopError) as error:
        raise sqlite3.DataError(f"a row is not as it was written ({error})") from error
