"""Float64 values as cells of an SQLite table, and back, without losing a bit.

A cell is a REAL wherever SQLite gives back what it was given. It does not for two
kinds of numbers: it turns -0.0 into 0.0, and every NaN into NULL. So NumPy's own NaN
is NULL, and -0.0 and a NaN of other bits are BLOBs of their 8 bytes, little-endian.
An array is one BLOB of all its bytes, in C order.
"""

import math
from typing import TypeAlias

import numpy as np

Cell: TypeAlias = float | bytes | None

_NAN_BITS = np.float64(np.nan).view(np.uint64)
_FLOAT = np.dtype("<f8")


def to_cells(values: np.ndarray) -> list[Cell]:
    """Returns the cell of each value; float64, shape (n,).

    Example:
        >>> cells = to_cells(np.array([0.5, -0.0, np.nan]))
        >>> cells[0], cells[1].hex(), cells[2]
        (0.5, '0000000000000080', None)
    """
    cells: list[Cell] = values.tolist()
    odd = np.isnan(values) | ((values == 0) & np.signbit(values))
    for place in np.flatnonzero(odd).tolist():
        same = values[place : place + 1].view(np.uint64)[0] == _NAN_BITS
        cells[place] = None if same else _bytes(values[place])
    return cells


def to_cell(value: np.ndarray) -> Cell:
    """Returns the cell of one look, float64, of any shape."""
    return _bytes(value) if value.ndim else to_cells(value.reshape(1))[0]


def from_cell(cell: object, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Returns the value that a cell stands for, of the given shape.

    Raises:
        ValueError: The cell is not one of such a value.

    Example:
        >>> from_cell(to_cell(np.array([0.5, -0.0])), (2,))
        array([ 0.5, -0. ])
    """
    if isinstance(cell, bytes):
        if len(cell) != 8 * math.prod(shape):
            raise ValueError(f"{len(cell)} bytes are no float64 of shape {shape}")
        return np.frombuffer(cell, _FLOAT).astype(np.float64).reshape(shape)
    if shape or not (cell is None or isinstance(cell, float)):
        raise ValueError(f"{cell!r} is no float64 of shape {shape}")
    return np.array(math.nan if cell is None else cell, dtype=np.float64)


def _bytes(value: np.ndarray) -> bytes:
    return np.asarray(value, dtype=_FLOAT).tobytes()
