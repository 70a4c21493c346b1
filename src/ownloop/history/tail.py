"""Where a history's database ends, and adding records there.

Owns the order of rows. Knows the tables and an open connection; transactions are the
caller's.
"""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import final

import numpy as np

from ownloop.history.cells import to_cell, to_cells
from ownloop.history.records import EpochRecorded, PassRecorded, Record, StepsRecorded
from ownloop.history.tally import STEP_ROW, NameRow, Tally


@final
@dataclass(frozen=True)
class Tail:
    """What has to be known to go on writing.

    Attributes:
        tally: The counts and the digest of the rows so far.
        ids: The id of each column, by its name and kind.
    """

    tally: Tally = field(default_factory=Tally)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)

    def take_name(self, row: NameRow) -> None:
        """Takes in a row of the table names, which the file has."""
        number, name, kind, *_ = row
        self.ids[name, kind] = number
        self.tally.add_name(row)

    def add(self, connection: sqlite3.Connection, record: Record) -> None:
        """Writes one record's rows.

        Raises:
            sqlite3.Error: They cannot be written.
        """
        match record:
            case StepsRecorded():
                self._add_steps(connection, record)
            case PassRecorded():
                self._add_pass(connection, record)
            case EpochRecorded(number, step):
                connection.execute("INSERT INTO epochs VALUES (?, ?)", (number, step))
                self.tally.add_epoch(number, step)

    def _add_steps(self, connection: sqlite3.Connection, record: StepsRecorded) -> None:
        ids = [
            self._find_name(connection, "step", record.pass_name, key, ())
            for key in record.keys
        ]
        # A step's values side by side, so that rows do not show where chunks ended.
        rows = np.empty(record.values.size, dtype=STEP_ROW)
        rows["name"] = np.tile(np.array(ids, dtype=np.int64), len(record.steps))
        rows["step"] = np.repeat(record.steps, len(ids))
        rows["value"] = record.values.ravel()
        columns = rows["name"].tolist(), rows["step"].tolist()
        connection.executemany(
            "INSERT INTO steps (name, step, value) VALUES (?, ?, ?)",
            zip(*columns, to_cells(rows["value"]), strict=True),
        )
        self.tally.add_steps(rows)

    def _add_pass(self, connection: sqlite3.Connection, record: PassRecorded) -> None:
        for key, value in record.values.items():
            own = record.pass_name
            number = self._find_name(connection, "look", own, key, value.shape)
            connection.execute(
                "INSERT INTO looks (name, step, epoch, value) VALUES (?, ?, ?, ?)",
                (number, record.step, record.epoch, to_cell(value)),
            )
            self.tally.add_look(number, record.step, record.epoch, value)

    def _find_name(
        self,
        connection: sqlite3.Connection,
        kind: str,
        pass_name: str,
        key: str,
        shape: tuple[int, ...],
    ) -> int:
        """Returns the id of a column, which is new where it is seen the first time."""
        name = f"{pass_name}_{key}"
        if (name, kind) not in self.ids:
            number = len(self.ids) + 1
            row = (number, name, kind, pass_name, key, json.dumps(shape))
            connection.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?)", row)
            self.take_name(row)
        return self.ids[name, kind]
