"""The history of a run: every step's numbers, every look, and a row for each epoch.

Owns what was seen, and at which step. Writes no file and draws nothing itself; what
was recorded is never changed, only added to.
"""

import importlib
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, final

import numpy as np

from ownloop.errors import BackendError, HistoryError, LoopError
from ownloop.history import files
from ownloop.history.columns import Best, Column, Looks, StepColumns
from ownloop.history.names import unknown
from ownloop.history.records import (
    EpochRecorded,
    PassRecorded,
    Record,
    StepsRecorded,
)
from ownloop.history.rows import Row
from ownloop.history.table import draw_table


@final
class History:
    """Every number of a run, as NumPy arrays by name.

    A name is the pass's name, an underscore, and what the step called the value, such
    as `val_loss`. Three things are kept: a value for each step (`history.steps`);
    a value for each finished pass of training or validation, however often `every=`
    looked into it (`history.looks(name)`); and for each epoch the last of these
    (`history[name]`; NaN where there was none).

    Example:
        >>> history = History()
        >>> history.record_pass("val", {"loss": 0.5}, step=10, epoch=1)
        >>> history.record_epoch(1, step=10)
        >>> history["val_loss"], history.lowest("val_loss")
        (array([0.5]), Best(step=10, value=0.5, age=0))
    """

    def __init__(self) -> None:
        self.steps = StepColumns()
        self._epochs = Column(np.int64)
        self._ends = Column(np.int64)
        self._origins: dict[str, tuple[str, str]] = {}
        self._looks: dict[str, tuple[Column, Column, Column]] = {}
        self._rows: dict[int, dict[str, float | np.ndarray]] = {}
        self._follower: Callable[[Record], None] | None = None

    # ------------------------------------------------------------------ writing

    def follow(self, follower: Callable[[Record], None] | None) -> None:
        """Hands each record to a callable from now on, after it was added here.

        This is how a run mirrors its history in a file. There is one follower; another
        takes its place, and None ends it.

        Example:
            >>> history, records = History(), []
            >>> history.follow(records.append)
            >>> history.record_epoch(1, step=10)
            >>> records
            [EpochRecorded(number=1, step=10)]
        """
        self._follower = follower

    def record_steps(
        self, name: str, values: Mapping[str, Any], steps: np.ndarray
    ) -> None:
        """Adds one chunk's values of every step.

        Args:
            name: The pass's name.
            values: By key, arrays of shape (n,).
            steps: The run's number of each step, shape (n,).

        Raises:
            LoopError: An array does not have one value for each step, or a name belongs
                to another pass.
        """
        columns = self._columns(name, values)
        arrays = {c: np.asarray(values[key], np.float64) for c, key in columns.items()}
        for column, array in arrays.items():
            if array.shape != np.shape(steps):
                raise LoopError(
                    f"{column} has values of shape {array.shape} for "
                    f"{np.size(steps):,} steps. Expected one number for each step. "
                    "Record arrays once per pass, with record_pass."
                )
        for column, array in arrays.items():
            self._origins.setdefault(column, (name, columns[column]))
            self.steps.extend(column, array, steps)
        if self._follower is not None and arrays:
            table = np.stack(list(arrays.values()), axis=-1)
            keys, numbers = tuple(columns.values()), np.array(steps, dtype=np.int64)
            self._follower(StepsRecorded(name, keys, numbers, table))

    def record_pass(
        self, name: str, values: Mapping[str, Any], *, step: int, epoch: int = 0
    ) -> None:
        """Adds a look: what a finished pass has given.

        Args:
            name: The pass's name.
            values: By key, a number, or an array of the same shape in every look.
            step: How many steps the run had done.
            epoch: The epoch's number, counted from 1; 0 for a look outside the epochs.

        Raises:
            LoopError: A value changed its shape, or a name belongs to another pass.
        """
        columns = self._columns(name, values)
        arrays = {
            column: np.array(values[key], dtype=np.float64)
            for column, key in columns.items()
        }
        for column, array in arrays.items():
            self._check_shape(column, array)
        for column, array in arrays.items():
            array.flags.writeable = False
            self._origins.setdefault(column, (name, columns[column]))
            new = (Column(np.int64), Column(np.float64, array.shape), Column(np.int64))
            at, value, epochs = self._looks.setdefault(column, new)
            at.extend([step])
            value.extend(array[None])
            epochs.extend([epoch])
            if epoch > 0:
                row = self._rows.setdefault(epoch, {})
                row[column] = array if array.ndim else float(array)
        if self._follower is not None and arrays:
            given = {columns[column]: array for column, array in arrays.items()}
            self._follower(PassRecorded(name, given, int(step), int(epoch)))

    def record_epoch(self, number: int, step: int) -> None:
        """Closes an epoch's row; only then is it part of the columns.

        Args:
            number: The epoch's number, counted from 1.
            step: How many steps the run had done at its end.

        Raises:
            LoopError: The number is not above the last one.
        """
        last = int(self._epochs.array[-1]) if len(self) else 0
        if number <= last:
            raise LoopError(
                f"Epoch {number} was to be recorded after epoch {last}. Expected a "
                f"number above {last}. Record each epoch once, in order."
            )
        self._epochs.extend([number])
        self._ends.extend([step])
        if self._follower is not None:
            self._follower(EpochRecorded(int(number), int(step)))

    def take_over(self, other: "History") -> None:
        """Takes the place of another history, which is not used any more.

        Example:
            >>> mine, other = History(), History()
            >>> other.record_epoch(1, step=10)
            >>> mine.take_over(other)
            >>> len(mine)
            1
        """
        self.steps = other.steps
        self._epochs, self._ends = other._epochs, other._ends
        self._origins, self._looks = other._origins, other._looks
        self._rows = other._rows

    def until(self, looks: Mapping[str, int], *, epochs: int, steps: int) -> "History":
        """Returns the history as it was before, without a copy; it grows on its own.

        Args:
            looks: By name, how many looks there were; see `counts`.
            epochs: The last epoch that was closed.
            steps: How many steps the run had done.

        Example:
            >>> history = History()
            >>> for step in (10, 20):
            ...     history.record_pass("val", {"loss": 1 / step}, step=step)
            >>> before = history.until({"val_loss": 1}, epochs=0, steps=10)
            >>> before.looks("val_loss").step
            array([10])
        """
        part = History()
        part.steps = self.steps.until(steps)
        closed = int(np.searchsorted(self._epochs.array, epochs, side="right"))
        part._epochs, part._ends = self._epochs.until(closed), self._ends.until(closed)
        part._looks = {
            name: (
                at.until(looks[name]),
                value.until(looks[name]),
                epoch.until(looks[name]),
            )
            for name, (at, value, epoch) in self._looks.items()
            if looks.get(name)
        }
        known = {*part.steps, *part._looks}
        part._origins = {n: o for n, o in self._origins.items() if n in known}
        part._rows = {n: row for n, row in self._rows.items() if n <= epochs}
        for name, (_, value, epoch) in part._looks.items():
            for place in np.flatnonzero(epoch.array == epochs + 1)[-1:]:
                last = value.array[place]
                row = part._rows.setdefault(epochs + 1, {})
                row[name] = last if last.ndim else float(last)
        return part

    # ------------------------------------------------------------------ reading

    @property
    def counts(self) -> dict[str, int]:
        """How many looks there were of each name."""
        return {name: len(at) for name, (at, _, _) in self._looks.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all looks, in the order in which they first came."""
        return tuple(self._looks)

    @property
    def origins(self) -> dict[str, tuple[str, str]]:
        """For each name its two parts: the pass's name, and the step's own key."""
        return dict(self._origins)

    @property
    def epochs(self) -> dict[str, np.ndarray]:
        """The columns of the closed epochs, `epoch` and `step` first.

        Names that were seen outside the epochs only are left out.
        """
        inside = [name for name in self._looks if self._is_inside(name)]
        return {name: self[name] for name in ("epoch", "step", *inside)}

    def __len__(self) -> int:
        """Returns the number of closed epochs."""
        return len(self._epochs)

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns a value per closed epoch: float64, shape (epochs, *shape of a value).

        An epoch is closed when its body is over: within the body, the array ends with
        the epoch before, and is empty in the first one. The present epoch's value is
        `epoch[name]`; `looks(name)`, `lowest(name)` and `highest(name)` see it, too.

        Raises:
            HistoryError: There is no such column.
        """
        if name == "epoch":
            return self._epochs.array
        if name == "step":
            return self._ends.array
        if name not in self._looks or not self._is_inside(name):
            raise self._unknown(name)
        missing = np.full(self._looks[name][1].shape, np.nan)
        rows = (self._rows.get(number, {}) for number in self._epochs.array.tolist())
        column = [row.get(name, missing) for row in rows]
        return np.array(column, dtype=np.float64).reshape(-1, *missing.shape)

    def __contains__(self, name: object) -> bool:
        return name in ("epoch", "step") or (
            name in self._looks and self._is_inside(str(name))
        )

    def row(self, epoch: int) -> Row:
        """Returns the values of an epoch's passes so far, closed or not."""
        return Row(epoch, self._rows.get(epoch, {}))

    def looks(self, name: str) -> Looks:
        """Returns every finished pass that gave a value of this name, as arrays.

        Raises:
            HistoryError: No pass has given it.
        """
        if name not in self._looks:
            raise unknown(name, self._looks, "the name of a look")
        step, value, epoch = self._looks[name]
        return Looks(step=step.array, value=value.array, epoch=epoch.array)

    def lowest(self, name: str) -> Best:
        """Returns the lowest look so far, and how many looks were taken since.

        Of equal looks the earliest is taken. NaN is never the best. If every look is
        NaN, the value is NaN, and the age counts all looks, as if the best had come
        before them.

        Raises:
            HistoryError: There was no look yet, or a look is an array.

        Example:
            >>> history = History()
            >>> for step, loss in enumerate([3.0, 1.0, 2.0, 1.0], start=1):
            ...     history.record_pass("val", {"loss": loss}, step=step)
            >>> history.lowest("val_loss")
            Best(step=2, value=1.0, age=2)
        """
        return self._best(name, sign=1)

    def highest(self, name: str) -> Best:
        """Returns the highest look so far, and is like `lowest` in all else."""
        return self._best(name, sign=-1)

    def to_dict(self) -> dict[str, list[Any]]:
        """Returns the columns of the closed epochs as lists of plain Python numbers."""
        return {name: column.tolist() for name, column in self.epochs.items()}

    def __repr__(self) -> str:
        return draw_table(self.epochs, self.origins)

    # ---------------------------------------------------------- files, pictures

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Writes a row for each closed epoch; the file appears whole or not at all."""
        files.to_csv(self.epochs, path)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Writes everything, exactly; the file appears whole or not at all."""
        files.to_json(self, path)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> "History":
        """Returns the history that `to_json` wrote: the same numbers, bit for bit.

        JSON has one null for every NaN, which comes back as NumPy's own.

        Raises:
            DataError: The file is no history, or damaged.
        """
        return files.from_json(cls(), path)

    def plot(self, path: str | PathLike[str] | None = None) -> Any:
        """Draws the columns of the epochs; train and val of a value share its axes.

        Args:
            path: Where to write the picture, such as `history.png`; None to only
                return the figure.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            BackendError: Matplotlib is not installed.
            HistoryError: There is nothing to draw yet.
        """
        try:
            # Upwards, and here only: Matplotlib is an optional package, and whoever
            # draws nothing must not wait for it.
            plots = importlib.import_module("ownloop.observers.plots")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "matplotlib":
                raise
            raise BackendError(
                "The history cannot be drawn: Matplotlib is not installed. Expected "
                'the extra "plots". Run pip install "ownloop[plots]".'
            ) from error
        return plots.plot_history(self, path)

    # ------------------------------------------------------------------- inside

    def _columns(self, name: str, values: Mapping[str, Any]) -> dict[str, str]:
        """Returns each key's full name, and checks that no other pass has it."""
        columns = {f"{name}_{key}": key for key in values}
        for column, key in columns.items():
            origin = self._origins.get(column, (name, key))
            if origin != (name, key):
                raise LoopError(
                    f"{column} is the name of two values: {origin[1]!r} of the pass "
                    f"{origin[0]!r}, and {key!r} of the pass {name!r}. Expected each "
                    "name once. Give one of the passes another name."
                )
        return columns

    def _check_shape(self, column: str, array: np.ndarray) -> None:
        if column in self._looks and self._looks[column][1].shape != array.shape:
            raise LoopError(
                f"{column} has shape {array.shape}, and had "
                f"{self._looks[column][1].shape} in the looks before. Expected one "
                "shape for a name. Give a pass with another step another name."
            )

    def _is_inside(self, name: str) -> bool:
        return bool((self._looks[name][2].array > 0).any())

    def _unknown(self, name: str) -> HistoryError:
        hint = ""
        if name in self._looks:
            hint = f"It was seen outside the epochs: ask history.looks({name!r})."
        elif name in self.steps:
            hint = f"It is known for each step: ask history.steps[{name!r}]."
        return unknown(name, list(self.epochs), "a column of the epochs", hint=hint)

    def _best(self, name: str, *, sign: int) -> Best:
        looks = self.looks(name)
        if looks.value.ndim > 1:
            raise HistoryError(
                f"{name!r} has arrays of shape {looks.value.shape[1:]}, of which none "
                "is the best. Expected one number per look. Log one number as well, "
                "such as the mean."
            )
        if np.isnan(looks.value).all():
            return Best(step=0, value=float("nan"), age=len(looks))
        place = int(np.nanargmin(sign * looks.value))
        return Best(
            step=int(looks.step[place]),
            value=float(looks.value[place]),
            age=len(looks) - 1 - place,
        )
