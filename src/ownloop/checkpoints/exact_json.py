r"""JSON of which every text has one value, and every value one text.

Owns how words and numbers become bytes: ASCII, no spaces, keys in their own order,
floats in the shortest form that gives the same bits. It never guesses: what JSON cannot
hold is refused before it is written, and a text that this file would have written
differently is refused when it is read. So there is no NaN, no key twice, no `1e999`.
"""

import json
import math
from typing import Any

from ownloop.errors import CheckpointError
from ownloop.shown import shown


def encode(value: Any, *, what: str) -> bytes:
    r"""Returns the text of a value, with a line end.

    Args:
        value: Dicts with string keys, lists, strings, integers, finite floats, booleans
            and None.
        what: The value's name in error messages.

    Raises:
        CheckpointError: Something else is in it; the message says where.

    Example:
        >>> encode({"rate": 0.1, "names": ["a"]}, what="meta")
        b'{"rate":0.1,"names":["a"]}\n'
    """
    try:
        _check(value, what)
        return write(value)
    except (RecursionError, ValueError) as error:
        raise CheckpointError(
            f"{what} cannot be written as JSON: {error}. Expected lists and dicts that "
            "are nested a few times, and integers of some thousand digits at most. "
            "Keep large things as arrays."
        ) from None


def write(value: Any) -> bytes:
    r"""Returns the same as `encode`, for a value that is known to be JSON.

    Raises:
        ValueError: An integer is too long.

    Example:
        >>> write({"step": 3})
        b'{"step":3}\n'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii") + b"\n"


def decode(text: bytes | bytearray) -> Any:
    r"""Returns the value of a text, which need not come from `encode`.

    Raises:
        ValueError: It is no JSON, or no ASCII, or nested too deep.

    Example:
        >>> decode(b'{"rate": 0.1}')
        {'rate': 0.1}
    """
    try:
        return json.loads(text.decode("ascii"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def is_exact(text: bytes | bytearray, value: Any) -> bool:
    r"""Returns whether a text is, byte for byte, what `encode` returns for a value.

    Example:
        >>> is_exact(b'{"a":1}\n', {"a": 1}), is_exact(b'{"a":2,"a":1}\n', {"a": 1})
        (True, False)
    """
    try:
        return encode(value, what="value") == text
    except CheckpointError:
        return False


def _check(value: Any, what: str) -> None:
    """Refuses what `json.dumps` would turn into something else."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise CheckpointError(
                    f"{what} has the key {shown(key)} of type {type(key).__name__}. "
                    "Expected strings: JSON knows no other keys. Write str(key)."
                )
            _check(inner, f"{what}[{key!r}]")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _check(inner, f"{what}[{place}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise CheckpointError(
                f"{what} is {value}. Expected a finite number, since JSON knows no "
                "other. Write None or a word for it, or keep it as an array."
            )
    elif not isinstance(value, str | int | None):
        raise CheckpointError(
            f"{what} is {shown(value)} of type {type(value).__name__}. Expected JSON: "
            "dict, list, str, int, float, bool or None. Convert it, a tuple by list() "
            "and a NumPy value by .item(), or keep it as an array."
        )
