"""Logged values as JSON and back, to the bit: numbers as hex, arrays apart from it.

A NaN has 52 bits of its own and a sign, which `float.hex` does not write: it is kept as
the bytes of all its bits.
"""

import base64
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ownloop.checkpoints import Entry, holds

_NAN = "nan "


def pack(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns floats, by name, into JSON, NaN and infinity included; leaves arrays.

    Example:
        >>> pack({"loss": 0.5})
        {'loss': '0x1.0000000000000p-1'}
    """
    return {name: _pack(value) for name, value in values.items()}


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Gives back what `pack` was given: the same floats and arrays.

    Example:
        >>> unpack(pack({"loss": 0.1, "f1": np.ones(2, "float32")}))
        {'loss': 0.1, 'f1': array([1., 1.], dtype=float32)}
    """
    return {name: _unpack(value) for name, value in packed.items()}


def set_apart(packed: Any, arrays: dict[str, Entry], role: str = "logged") -> Any:
    """Returns JSON with the names of its arrays, which are copied, in their places.

    Args:
        packed: JSON, but for arrays that `pack` has left in it.
        arrays: Gets them, each once, by names that begin with their role.
        role: What they are in the checkpoint.

    Example:
        >>> arrays = {}
        >>> set_apart([{"f1": np.ones(2)}], arrays), list(arrays)
        ([{'f1': {'array': ['logged/0']}}], ['logged/0'])
    """
    return _set_apart(packed, arrays, role, {})


def put_back(json: Any, arrays: Mapping[str, Entry]) -> Any:
    """Returns what `set_apart` was given.

    Example:
        >>> put_back({"f1": {"array": ["one"]}}, {"one": Entry(np.ones(2), "logged")})
        {'f1': array([1., 1.])}
    """
    if isinstance(json, list):
        return [put_back(entry, arrays) for entry in json]
    if not isinstance(json, dict):
        return json
    # A list, since a step may log a number under the name "array".
    if json.keys() == {"array"} and isinstance(json["array"], list):
        return _array(json["array"], arrays)
    return {name: put_back(entry, arrays) for name, entry in json.items()}


def _set_apart(
    packed: Any, arrays: dict[str, Entry], role: str, known: dict[int, str]
) -> Any:
    if isinstance(packed, Mapping):
        return {n: _set_apart(e, arrays, role, known) for n, e in packed.items()}
    if isinstance(packed, list | tuple):
        return [_set_apart(entry, arrays, role, known) for entry in packed]
    if not isinstance(packed, np.ndarray):
        return packed
    if not holds(packed.dtype.name):
        data = base64.b64encode(np.ascontiguousarray(packed).tobytes()).decode()
        return {"array": [packed.dtype.name, list(packed.shape), data]}
    if id(packed) not in known:
        known[id(packed)] = f"{role}/{len(arrays)}"
        arrays[known[id(packed)]] = Entry(np.array(packed), role)
    return {"array": [known[id(packed)]]}


def _array(words: list[Any], arrays: Mapping[str, Entry]) -> np.ndarray:
    if len(words) == 1:
        return np.array(arrays[words[0]].array)
    # Of a dtype that checkpoints do not have.
    name, shape, data = words
    return np.frombuffer(base64.b64decode(data), name).reshape(shape).copy()


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    number = float(value)
    return (
        _NAN + struct.pack(">d", number).hex() if math.isnan(number) else number.hex()
    )


def _unpack(packed: Any) -> Any:
    if isinstance(packed, str):
        if packed.startswith(_NAN):
            return struct.unpack(">d", bytes.fromhex(packed.removeprefix(_NAN)))[0]
        return float.fromhex(packed)
    return packed
