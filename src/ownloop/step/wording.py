"""Settings as JSON, or in words that are the same in every process."""

import hashlib
import itertools
import math
import re
from collections.abc import Container
from typing import Any, Final

import numpy as np

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), np.generic)
_LONG: Final = 1000
"""A text with more characters than this is known by its hash."""


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text or None.

    Example:
        >>> is_plain(np.float32(0.5)), is_plain([0.5])
        (True, False)
    """
    return isinstance(value, _PLAIN)


def as_json(value: Any) -> Any:
    """Returns a plain value as JSON; where it has no such word, in our own.

    Example:
        >>> [as_json(v) for v in (0.5, 3, "same", None, -np.inf, np.float32(0.5))]
        [0.5, 3, 'same', None, '-inf', 'float32 0.5']
    """
    kind = type(value)
    if kind in (bool, int, type(None)) or (kind is float and math.isfinite(value)):
        return value
    if kind is str:
        return in_short(value)
    if kind is float:
        return repr(value)
    words = str(value.item()) if isinstance(value, np.generic) else repr(value)
    return f"{kind.__name__} {in_short(words)}"


def in_short(words: str) -> str:
    """Returns a text, or its hash where it is long."""
    if len(words) <= _LONG:
        return words
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    return f"{len(words)} characters with the hash {digest}"


def without_number(name: str) -> str:
    """Returns a name without the number that Keras gives by what was made before.

    Example:
        >>> without_number("dense_4")
        'dense'
    """
    return re.sub(r"_\d+$", "", name)


def free_name(name: str, taken: Container[str]) -> str:
    """Returns a name that is not taken: itself, or with the next number.

    Example:
        >>> free_name("dense", {"dense"})
        'dense (2)'
    """
    names = (f"{name} ({number})" for number in itertools.count(2))
    return next(n for n in itertools.chain([name], names) if n not in taken)
