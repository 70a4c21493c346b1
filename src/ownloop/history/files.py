"""A history as files: CSV for spreadsheets, JSON for everything, exactly.

Owns the two formats. A file appears whole or not at all. JSON knows no NaN and no
infinity, so these are null, "inf" and "-inf".
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ownloop.atomic_write import write_whole
from ownloop.errors import DataError, LoopError

if TYPE_CHECKING:
    from ownloop.history.history import History

_FORMAT = "ownloop history"
_VERSION = 1

# What content leads to that to_json cannot have written.
_STRANGE = (AttributeError, KeyError, LoopError, OverflowError, TypeError, ValueError)


def to_csv(epochs: Mapping[str, np.ndarray], path: str | PathLike[str]) -> None:
    """Writes one row per epoch; an array becomes a column for each of its entries.

    Numbers are written so that reading them gives the same bits.

    Args:
        epochs: Columns of equal length.
        path: The file, replaced if it exists.
    """
    flat: dict[str, np.ndarray] = {}
    for name, column in epochs.items():
        if column.ndim == 1:
            flat[name] = column
            continue
        for place in np.ndindex(column.shape[1:]):
            flat[f"{name}[{', '.join(map(str, place))}]"] = column[:, *place]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(flat)
    writer.writerows(zip(*(column.tolist() for column in flat.values()), strict=True))
    write_whole(path, text.getvalue().encode())


def to_json(history: "History", path: str | PathLike[str]) -> None:
    """Writes the epochs, every step's values, and all looks."""
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "epochs": {name: _plain(column) for name, column in history.epochs.items()},
        "looks": {name: _look(history, name) for name in history.names},
        "steps": {name: _steps(history, name) for name in history.steps},
    }
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    write_whole(path, text.encode() + b"\n")


def from_json(empty: "History", path: str | PathLike[str]) -> "History":
    """Fills an empty history with what `to_json` wrote, and returns it.

    Raises:
        DataError: The file is no history, damaged, or of a later version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version = content["version"] if content["format"] == _FORMAT else None
        if version == _VERSION:
            return _filled(empty, content)
        found = f"version {version}"
    except _STRANGE as error:
        found = f"{type(error).__name__}, {error}"
    raise DataError(
        f"{os.fspath(path)} is no history that can be read here ({found}). Expected a "
        f"file that History.to_json wrote, version {_VERSION}. Choose another file, or "
        "read it with the ownloop that wrote it."
    )


def _filled(empty: "History", content: Any) -> "History":
    for look in content["looks"].values():
        rows = zip(look["step"], look["epoch"], look["value"], strict=True)
        for step, epoch, value in rows:
            values = {look["key"]: _numbers(value)}
            empty.record_pass(look["pass"], values, step=step, epoch=epoch)
    for column in content["steps"].values():
        values = {column["key"]: _numbers(column["value"])}
        empty.record_steps(column["pass"], values, np.array(column["step"], np.int64))
    for number, step in zip(
        content["epochs"]["epoch"], content["epochs"]["step"], strict=True
    ):
        empty.record_epoch(number, step)
    return empty


def _look(history: "History", name: str) -> dict[str, Any]:
    looks = history.looks(name)
    return {
        **_origin(history, name),
        "step": looks.step.tolist(),
        "epoch": looks.epoch.tolist(),
        "value": _plain(looks.value),
    }


def _steps(history: "History", name: str) -> dict[str, Any]:
    return {
        **_origin(history, name),
        "step": history.steps.step(name).tolist(),
        "value": _plain(history.steps[name]),
    }


def _origin(history: "History", name: str) -> dict[str, str]:
    own, key = history.origins[name]
    return {"pass": own, "key": key}


def _plain(array: np.ndarray) -> list[Any]:
    """Returns nested lists in which every number is one that JSON knows."""
    if np.isfinite(array).all():
        return array.tolist()
    words = {"nan": None, "inf": "inf", "-inf": "-inf"}
    flat = [words.get(str(value), value) for value in array.ravel().tolist()]
    nested = np.empty(array.shape, dtype=object)
    nested.ravel()[:] = flat
    return nested.tolist()


def _numbers(plain: Any) -> np.ndarray:
    """Undoes `_plain`: NumPy reads None as NaN, and the words for infinity."""
    return np.array(plain, dtype=object).astype(np.float64)
