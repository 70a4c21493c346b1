"""The picture of a history: one axis for each value, its passes as lines in it.

The only file that knows Matplotlib. It uses the figure object alone, never pyplot, so
it opens no window and leaves the user's own figures and settings as they are.
"""

import io
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ownloop.atomic_write import write_whole
from ownloop.errors import HistoryError
from ownloop.history import History

# Blue for what was trained on and orange for what was not: the pair that is told
# apart by every kind of colour vision, and in grey. The rest is for further passes.
_COLOURS = {"train": "#2b6cb0", "val": "#dd6b20"}
_MORE_COLOURS = ("#2c7a7b", "#805ad5", "#b83280", "#718096", "#975a16")
_INK, _FAINT_INK, _GRID = "#2d3748", "#718096", "#e2e8f0"
_WIDTH, _AXIS_HEIGHT, _MARGIN_HEIGHT, _DPI = 7.2, 2.5, 0.5, 150
_FEW_VALUES = 30  # up to here each value of a line gets its dot
_MOST_IN_A_COLUMN, _MOST_SIDE_BY_SIDE = 6, 3
_DOT = {"markersize": 4.0, "markeredgecolor": "white", "markeredgewidth": 0.7}
_ROUND_STEPS = [1, 2, 5, 10]
_LABEL_GAP = 0.1  # of an axis' height, so that two labels do not touch


def plot_history(history: History, path: str | PathLike[str] | None = None) -> Figure:
    """Draws the epochs of a history: accuracy first, then loss, then other values.

    Values that have the same key in several passes, such as `train_loss` and
    `val_loss`, share an axis. An array is drawn as a faint line for each entry and a
    strong one for their mean. A line goes on over epochs that have no value, such as
    those without a validation, and has a gap where a value is not finite. All axes
    share the epochs; from seven on they stand side by side.

    Args:
        history: A history with at least one closed epoch.
        path: Where to write the picture, in the format of its ending (`.png`,
            `.svg`, `.pdf`); None to only return the figure. It appears whole or not at
            all.

    Returns:
        The figure, for further changes or `savefig`.

    Raises:
        HistoryError: No epoch has been closed, or none has a value.

    Example:
        >>> history = History()
        >>> history.record_pass("val", {"loss": 0.5}, step=10, epoch=1)
        >>> history.record_epoch(1, step=10)
        >>> [axes.get_title(loc="left") for axes in plot_history(history).axes]
        ['loss']
    """
    groups = _group(history)
    if not groups or not len(history):
        raise HistoryError(
            f"There is nothing to draw: the history has {len(history)} closed epochs "
            f"and {len(groups)} values. Expected at least one of each. Draw it when "
            "the first epoch's body is over, which closes its row."
        )
    side_by_side = min(_MOST_SIDE_BY_SIDE, -(-len(groups) // _MOST_IN_A_COLUMN))
    rows = -(-len(groups) // side_by_side)
    size = _WIDTH * side_by_side, _MARGIN_HEIGHT + _AXIS_HEIGHT * rows
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1)
    figure = Figure(figsize=size, dpi=_DPI, layout=layout)
    grid = figure.subplots(rows, side_by_side, sharex=True, squeeze=False).ravel()
    all_axes = grid[: len(groups)]
    for unused in grid[len(groups) :]:
        unused.remove()
    colours = _choose_colours(history)
    for axes, (key, columns) in zip(all_axes, groups.items(), strict=True):
        _set_up(axes, key)
        for place, name in enumerate(columns):
            colour = colours[history.origins[name][0]]
            look = {} if len(history) > 1 else _dot_or_ring(place, colour)
            _draw_column(axes, history, name, colour, look)
        _label_ends(axes, history, columns, colours)
    for axes in all_axes[-side_by_side:]:
        _set_up_epochs(axes, history["epoch"])
    if path is not None:
        _save(figure, path)
    return figure


def _group(history: History) -> dict[str, list[str]]:
    """Returns the columns that share each key: accuracy, loss, then the rest."""
    groups: dict[str, list[str]] = {}
    for name in history.epochs:
        if name in history.origins and np.isfinite(history[name]).any():
            groups.setdefault(history.origins[name][1], []).append(name)
    return dict(sorted(groups.items(), key=lambda item: _rank(item[0])))


def _rank(key: str) -> int:
    if key.endswith("accuracy"):
        return 0
    return 1 if key.endswith("loss") else 2


def _choose_colours(history: History) -> dict[str, str]:
    """Returns a colour for each pass, the same one in all axes."""
    passes = dict.fromkeys(origin for origin, _ in history.origins.values())
    others = [name for name in passes if name not in _COLOURS]
    more = {
        name: _MORE_COLOURS[place % len(_MORE_COLOURS)]
        for place, name in enumerate(others)
    }
    return {**_COLOURS, **more}


def _set_up(axes: Axes, key: str) -> None:
    # The value's name stands on top and upright, where it is read first.
    axes.set_title(key, loc="left", color=_INK, fontsize=11, fontweight="bold", pad=8)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT_INK)
    axes.tick_params(colors=_FAINT_INK, labelsize=9, length=0)
    axes.margins(y=0.08)
    axes.yaxis.set_major_locator(ticker.MaxNLocator(nbins=5, steps=_ROUND_STEPS))


def _set_up_epochs(axes: Axes, epochs: np.ndarray) -> None:
    axes.set_xlabel("epoch", color=_INK, fontsize=10)
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(nbins=10, steps=_ROUND_STEPS, integer=True, min_n_ticks=1)
    )
    axes.tick_params(axis="x", length=3, labelbottom=True)
    first, last = int(epochs[0]), int(epochs[-1])
    # Never as far as epoch 0, which there is none of; one epoch stands in the middle.
    edge = min(0.5, 0.02 * (last - first)) or 0.5
    axes.set_xlim(first - edge, last + edge)


def _draw_column(
    axes: Axes, history: History, name: str, colour: str, look: Mapping[str, Any]
) -> None:
    epochs, values = _looked_at(history, name)
    line = _as_line(values)
    dots = _places_of_dots(line)
    if values.ndim > 1:
        entries = values.reshape(len(epochs), -1)
        axes.plot(epochs, entries, color=colour, alpha=0.25, linewidth=1.0)
    axes.plot(
        epochs,
        line,
        color=colour,
        linewidth=1.8,
        marker="o" if dots else "",
        markevery=dots,
        label=history.origins[name][0],
        clip_on=False,  # a dot on the frame is a whole dot
        **{**_DOT, **look},
    )


def _dot_or_ring(place: int, colour: str) -> dict[str, Any]:
    """Returns how a single epoch's values look: a dot, then rings around it.

    So that values that are equal are all seen.
    """
    if place == 0:
        return {"markersize": 7.0}
    return {
        "markersize": 7.0 + 4.5 * place,
        "markerfacecolor": "none",
        "markeredgecolor": colour,
        "markeredgewidth": 1.6,
    }


def _looked_at(history: History, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the epochs that have a value of this name, and the values.

    A line goes through epochs without a validation, but a value that is not finite is
    NaN here, and leaves a gap.
    """
    epochs = history["epoch"]
    has_look = np.isin(epochs, history.looks(name).epoch)
    return epochs[has_look], _finite(history[name][has_look])


def _places_of_dots(line: np.ndarray) -> list[int]:
    """Returns which values get a dot: all of a few, of many those that stand alone."""
    if len(line) <= _FEW_VALUES:
        return list(range(len(line)))
    known = np.pad(np.isfinite(line), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    return [int(place) for place in np.flatnonzero(alone)]


def _label_ends(
    axes: Axes, history: History, columns: Sequence[str], colours: dict[str, str]
) -> None:
    """Writes each line's pass and last value beside its end, in the line's colour."""
    bottom, top = axes.get_ylim()
    ends = []
    for name in columns:
        line = _as_line(_finite(history[name]))
        last = float(line[np.isfinite(line)][-1])
        ends.append(((last - bottom) / (top - bottom), last, history.origins[name][0]))
    ends.sort()
    places = _spread([place for place, _, _ in ends])
    for place, (_, last, origin) in zip(places, ends, strict=True):
        axes.annotate(
            f"{origin}  {_short(last)}",
            xy=(1.015, place),
            xycoords="axes fraction",
            color=colours[origin],
            fontsize=9.5,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


def _spread(places: list[float]) -> list[float]:
    """Moves sorted places apart until no two labels touch, each as little as possible.

    Labels that touch form a block about their common middle; blocks that then touch
    form one block in turn.
    """
    blocks: list[list[float]] = []
    for number, place in enumerate(places):
        blocks.append([place - number * _LABEL_GAP])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [_mean(block) for block in blocks for _ in block]
    return [place + number * _LABEL_GAP for number, place in enumerate(level)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _short(value: float) -> str:
    """Four decimals where they say enough, else four digits."""
    return f"{value:.4f}" if 0.01 <= abs(value) < 10 else f"{value:.4g}"


def _as_line(values: np.ndarray) -> np.ndarray:
    """Returns one value per epoch: of an array the mean of its known entries."""
    if values.ndim == 1:
        return values
    entries = values.reshape(len(values), -1)
    known = np.isfinite(entries)
    counts = known.sum(axis=1)
    sums = np.where(known, entries, 0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _save(figure: Figure, path: str | PathLike[str]) -> None:
    ending = Path(os.fspath(path)).suffix.removeprefix(".") or "png"
    content = io.BytesIO()
    figure.savefig(content, format=ending, dpi=_DPI)
    write_whole(path, content.getvalue())
