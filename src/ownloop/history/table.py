"""A history as a small table of text, for the eye."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ownloop.counts import counted

_LAST_EPOCHS = 5
_WIDTH = 88
_COUNTS = ("epoch", "step")


def draw_table(
    epochs: Mapping[str, np.ndarray],
    origins: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> str:
    """Returns the last epochs as a table, with as many columns as fit on a line.

    Where not all fit, the losses of all passes are seen first, then what else they
    have, value by value.

    Args:
        epochs: Columns of equal length, `epoch` and `step` first.
        origins: By column, its pass and the step's own key.

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
    columns = {
        name: _column(name, values[-_LAST_EPOCHS:])
        for name, values in epochs.items()
        if values.ndim == 1
    }
    keys = {name: origins[name][1] if name in origins else name for name in columns}
    shown = _fitting(columns, _by_importance(keys))
    lines = ["  ".join(cells) for cells in zip(*shown, strict=True)]
    hidden = len(epochs) - len(shown)
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


def _by_importance(keys: Mapping[str, str]) -> list[str]:
    """Returns the names of columns: what counts the epochs, losses, then the rest.

    Columns with the same key, such as `train_loss` and `val_loss`, follow each other.
    """
    order = {key: place for place, key in enumerate(dict.fromkeys(keys.values()))}

    def rank(name: str) -> tuple[bool, bool, int]:
        is_loss = keys[name].endswith("loss")
        return name not in _COUNTS, not is_loss, order[keys[name]]

    return sorted(keys, key=rank)


def _fitting(columns: Mapping[str, list[str]], order: Sequence[str]) -> list[list[str]]:
    """Returns as many columns as fit, chosen in an order and left in their own."""
    widths = np.cumsum([len(columns[name][0]) + 2 for name in order])
    chosen = order[: max(1, int((widths <= _WIDTH + 2).sum()))]
    return [cells for name, cells in columns.items() if name in chosen]
