"""A history as a small table of text, for the eye."""

from collections.abc import Mapping

import numpy as np

from ownloop.counts import counted

_LAST_EPOCHS = 5
_WIDTH = 88


def draw_table(epochs: Mapping[str, np.ndarray]) -> str:
    """Returns the last epochs as a table, with as many columns as fit on a line.

    Args:
        epochs: Columns of equal length, `epoch` and `step` first.

    Example:
        >>> one = {"epoch": np.array([1]), "step": np.array([9]), "a": np.array([0.5])}
        >>> print(draw_table(one))
        History of 1 epoch, 9 steps
        epoch  step       a
            1     9  0.5000
    """
    count = len(epochs["epoch"])
    steps = int(epochs["step"][-1]) if count else 0
    title = f"History of {counted(count, 'epoch')}, {counted(steps, 'step')}"
    if count == 0:
        return title
    if count > _LAST_EPOCHS:
        title += f", the last {_LAST_EPOCHS}"
    columns = [
        _column(name, values[-_LAST_EPOCHS:])
        for name, values in epochs.items()
        if values.ndim == 1
    ]
    lines = ["  ".join(cells) for cells in zip(*_fitting(columns), strict=True)]
    hidden = len(epochs) - len(_fitting(columns))
    more = [f"and {counted(hidden, 'column')} more"] if hidden else []
    return "\n".join([title, *lines, *more])


def _column(name: str, values: np.ndarray) -> list[str]:
    """Returns a column's cells, its name on top, all of one width."""
    whole = np.issubdtype(values.dtype, np.integer)
    cells = [f"{value}" if whole else decimal(float(value)) for value in values]
    width = max(map(len, [name, *cells]))
    return [cell.rjust(width) for cell in [name, *cells]]


def decimal(value: float) -> str:
    """Four decimals where they say something, else four digits."""
    if np.isnan(value):
        return "-"
    small = 0 < abs(value) < 0.01
    return f"{value:.3e}" if small or abs(value) >= 1e5 else f"{value:.4f}"


def _fitting(columns: list[list[str]]) -> list[list[str]]:
    widths = np.cumsum([len(column[0]) + 2 for column in columns])
    return columns[: max(1, int((widths <= _WIDTH + 2).sum()))]
