"""Whole numbers, as users give them: read in one way, wherever one is asked for.

This file says whether a value is one. Whether it is large enough, and what is said
where it is not, is left to those who ask.
"""

import operator
from typing import Any


def whole_number(value: Any) -> int | None:
    """Returns a whole number as a plain int, as files want it; None if it is none.

    Integers of NumPy and integer arrays without axes are whole numbers, and a float is
    none whatever its value. Neither is True: it is an int to Python, but nobody means
    "every 1" by `every=True`.

    Example:
        >>> whole_number(3), whole_number(3.0), whole_number(True)
        (3, None, None)
    """
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except (TypeError, AttributeError):  # The latter of TensorFlow's other tensors.
        return None
