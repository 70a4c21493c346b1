"""Columns that grow: numbers with the steps at which they were seen.

Knows NumPy arrays and nothing of epochs' meaning. What is handed out is read-only and
stays as it was when the column grows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ownloop.history.names import unknown


@final
class Column:
    """An array that grows at its end, in constant time per entry.

    Example:
        >>> column = Column(np.float64)
        >>> column.extend([1, 2])
        >>> column.extend([3])
        >>> column.array
        array([1., 2., 3.])
    """

    def __init__(self, dtype: type[np.generic], shape: tuple[int, ...] = ()) -> None:
        self._room = np.empty((16, *shape), dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, values: Any) -> None:
        """Adds the values, shape (n, *shape), at the end."""
        added = np.asarray(values, dtype=self._room.dtype)
        if not len(added):
            return  # The room may be another column's, which cannot be written.
        length = self._length + len(added)
        if length > len(self._room):
            # Readers keep the old room, which nobody writes to any more.
            larger = (max(length, 2 * len(self._room)), *self._room.shape[1:])
            room = np.empty(larger, dtype=self._room.dtype)
            room[: self._length] = self._room[: self._length]
            self._room = room
        self._room[self._length : length] = added
        self._length = length

    @property
    def array(self) -> np.ndarray:
        """The entries so far, shape (n, *shape), read-only, without a copy."""
        view = self._room[: self._length]
        view.flags.writeable = False
        return view

    def until(self, length: int) -> "Column":
        """Returns another column with its first entries, which grows on its own."""
        part = Column.__new__(Column)
        # Full, so that whatever is added goes into a room of its own.
        part._room = self.array[:length]
        part._length = len(part._room)
        return part

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one entry."""
        return self._room.shape[1:]


@final
@dataclass(frozen=True, eq=False)
class Looks:
    """Every finished pass that gave a value of one name; arrays of equal length.

    Attributes:
        step: The step of the run after which each look was taken, int64.
        value: What was seen, float64, shape (looks,) or (looks, *shape of one value).
        epoch: The epoch of each look, int64; 0 for a look outside any epoch.
    """

    step: np.ndarray
    value: np.ndarray
    epoch: np.ndarray

    def __len__(self) -> int:
        return len(self.step)


@final
@dataclass(frozen=True)
class Best:
    """The best look so far.

    Attributes:
        step: The step of the run after which it was taken.
        value: What was seen.
        age: How many looks were taken since; 0 if the newest is the best.
    """

    step: int
    value: float
    age: int


@final
class StepColumns(Mapping[str, np.ndarray]):
    """Every step's values by name, each an array of float64, shape (steps,).

    Example:
        >>> columns = StepColumns()
        >>> columns.extend("train_loss", [0.5, 0.25], [1, 2])
        >>> columns["train_loss"], columns.step("train_loss")
        (array([0.5 , 0.25]), array([1, 2]))
    """

    def __init__(self) -> None:
        self._values: dict[str, Column] = {}
        self._steps: dict[str, Column] = {}

    def extend(self, name: str, values: Any, steps: Any) -> None:
        """Adds one chunk's values and the numbers of their steps in the run."""
        if name not in self._values:
            self._values[name] = Column(np.float64)
            self._steps[name] = Column(np.int64)
        self._values[name].extend(values)
        self._steps[name].extend(steps)

    def step(self, name: str) -> np.ndarray:
        """Returns the run's step number of each value of this name, int64."""
        return self._find(self._steps, name).array

    def until(self, step: int) -> "StepColumns":
        """Returns the columns as they were after a step."""
        part = StepColumns()
        for name, column in self._steps.items():
            if length := int(np.searchsorted(column.array, step, side="right")):
                part._steps[name] = column.until(length)
                part._values[name] = self._values[name].until(length)
        return part

    def __getitem__(self, name: str) -> np.ndarray:
        return self._find(self._values, name).array

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        words = (f"{name}: {len(column):,}" for name, column in self._values.items())
        return f"StepColumns({', '.join(words)})"

    def _find(self, columns: dict[str, Column], name: str) -> Column:
        if name not in columns:
            raise unknown(name, list(columns), "a value of every step")
        return columns[name]
