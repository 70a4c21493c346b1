"""How far a run is and what it saw last: a few rows of its database, not all.

For looking at many runs at once: the time does not grow with the steps of a run.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import final

from ownloop.history.asking import ask
from ownloop.history.cells import from_cell
from ownloop.history.reading import doubting

_LAST_STEP = """SELECT max(step) FROM (
    SELECT * FROM (SELECT step FROM steps ORDER BY id DESC LIMIT 1) UNION ALL
    SELECT * FROM (SELECT step FROM looks ORDER BY id DESC LIMIT 1)
)"""

_LAST_LOOKS = """SELECT names.name, looks.value FROM looks
    JOIN names ON names.id = looks.name
    WHERE names.shape = '[]' AND looks.id IN (SELECT max(id) FROM looks GROUP BY name)
    ORDER BY names.id"""


@final
@dataclass(frozen=True)
class Summary:
    """What a history says in a line.

    Attributes:
        epochs: The number of closed epochs.
        step: The last step that is written down.
        last: The last look of each name, except of arrays, in the order in which the
            names came.
    """

    epochs: int
    step: int
    last: Mapping[str, float]


def read_summary(path: str | PathLike[str], *, run: str | None = None) -> Summary:
    """Returns how far a run is, perhaps while it writes; nothing is changed.

    Args:
        path: A file `history.db`.
        run: The run whose history it must be; None takes any.

    Raises:
        FolderError: There is no such file, or it is no history, or damaged.
    """
    return ask(Path(path).absolute(), _summarize, run=run)


def _summarize(connection: sqlite3.Connection) -> Summary:
    with doubting():
        (epochs,) = connection.execute("SELECT count(*) FROM epochs").fetchone()
        (step,) = connection.execute(_LAST_STEP).fetchone()
        looks = connection.execute(_LAST_LOOKS)
        last = {name: float(from_cell(cell)) for name, cell in looks}
        return Summary(epochs, int(step or 0), last)
