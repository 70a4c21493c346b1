"""How much of a history has been written down: counts, and a digest of every row.

Owns what the digest is about. It is a function of the rows alone, never of how they
were grouped when they were written, and so the same for a run that was interrupted
and one that was not. Knows no file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np

from ownloop.errors import FolderError

TABLES: Final = ("names", "steps", "looks", "epochs")

STEP_ROW: Final = np.dtype([("name", "<i8"), ("step", "<i8"), ("value", "<f8")])

NameRow: TypeAlias = tuple[int, str, str, str, str, str]
"""A row of the table names: id, name, kind, pass, key, shape."""


@final
@dataclass(frozen=True)
class Mark:
    """How much of a history a checkpoint is about.

    Attributes:
        names: The number of columns.
        steps: The number of values of steps.
        looks: The number of looks.
        epochs: The number of closed epochs.
        digest: SHA-256 over all of these rows, in hexadecimal.

    Example:
        >>> Mark.from_json(Mark.of_nothing().to_json()) == Mark.of_nothing()
        True
    """

    names: int
    steps: int
    looks: int
    epochs: int
    digest: str

    @classmethod
    def of_nothing(cls) -> "Mark":
        """Returns the mark of a run that has recorded nothing yet."""
        return Tally().mark()

    def to_json(self) -> dict[str, int | str]:
        """Returns the mark as a value that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> "Mark":
        """Returns the mark of which `to_json` returned this.

        Raises:
            FolderError: It is something else.
        """
        if (
            not isinstance(content, Mapping)
            or set(content) != {*TABLES, "digest"}
            or not all(_is_count(content[table]) for table in TABLES)
            or not isinstance(content["digest"], str)
        ):
            raise FolderError(
                f"{content!r} does not say how much of a history is meant. Expected "
                f"whole numbers for {', '.join(TABLES)}, and a digest. Use what "
                "Mark.to_json gave."
            )
        return cls(**content)


@final
class Tally:
    """Counts rows, and hashes them as they come; each table has a stream of its own.

    Example:
        >>> tally = Tally()
        >>> tally.add_epoch(1, step=300)
        >>> tally.mark().epochs
        1
    """

    def __init__(self) -> None:
        self._counts = dict.fromkeys(TABLES, 0)
        self._hashes = {table: hashlib.sha256() for table in TABLES}

    def __getitem__(self, table: str) -> int:
        """Returns the number of rows of a table so far."""
        return self._counts[table]

    def add_name(self, row: NameRow) -> None:
        """Takes in a row of the table names."""
        self._add("names", 1, json.dumps(row).encode())

    def add_steps(self, rows: np.ndarray) -> None:
        """Takes in rows of the table steps, of dtype `STEP_ROW`."""
        self._add("steps", len(rows), rows.tobytes())

    def add_look(self, name: int, step: int, epoch: int, value: np.ndarray) -> None:
        """Takes in a row of the table looks."""
        numbers = np.array([name, step, epoch], "<i8").tobytes()
        self._add("looks", 1, numbers + value.astype("<f8").tobytes())

    def add_epoch(self, number: int, step: int) -> None:
        """Takes in a row of the table epochs."""
        self._add("epochs", 1, np.array([number, step], "<i8").tobytes())

    def mark(self) -> Mark:
        """Returns how much there was so far."""
        streams = "".join(self._hashes[table].hexdigest() for table in TABLES)
        digest = hashlib.sha256(streams.encode()).hexdigest()
        return Mark(**self._counts, digest=digest)

    def _add(self, table: str, count: int, content: bytes) -> None:
        self._counts[table] += count
        self._hashes[table].update(content)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
