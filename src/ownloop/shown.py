"""A user's value, as errors show it: on one line. This file imports nothing of ours."""

import re
import reprlib
from typing import Any, Final

_MOST: Final = 80

_short = reprlib.Repr()
_short.maxstring = _short.maxlong = _short.maxother = _MOST


def shown(value: Any) -> str:
    """Returns what Python shows of a value, cut to a line where it is longer.

    Example:
        >>> shown([1, 2]), len(shown("word " * 100))
        ('[1, 2]', 80)
    """
    text = re.sub(r"\s*\n\s*", " ", _short.repr(value))
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."
