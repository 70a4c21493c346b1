"""Logged values as JSON and back, to the bit: numbers as hex, arrays as their bytes.

A NaN has 52 bits of its own and a sign, which `float.hex` does not write: it is kept as
the bytes of all its bits.
"""

import base64
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_NAN = "nan "


def pack(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns floats and NumPy arrays, by name, into JSON; NaN and infinity included.

    Example:
        >>> pack({"loss": 0.5})
        {'loss': '0x1.0000000000000p-1'}
    """
    return {name: _pack(value) for name, value in values.items()}


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Gives back what `pack` was given: the same floats, arrays of the same dtype.

    Example:
        >>> unpack(pack({"loss": 0.1, "f1": np.ones(2, "float32")}))
        {'loss': 0.1, 'f1': array([1., 1.], dtype=float32)}
    """
    return {name: _unpack(value) for name, value in packed.items()}


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}
    number = float(value)
    return (
        _NAN + struct.pack(">d", number).hex() if math.isnan(number) else number.hex()
    )


def _unpack(packed: Any) -> Any:
    if isinstance(packed, str):
        if packed.startswith(_NAN):
            return struct.unpack(">d", bytes.fromhex(packed.removeprefix(_NAN)))[0]
        return float.fromhex(packed)
    data = base64.b64decode(packed["data"])
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"]).copy()
