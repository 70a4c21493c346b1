"""The user's own values as JSON: what comes back is what was given, or it is refused.

Such are `loop.memory` and the states of the user's objects.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from ownloop.errors import LoopError
from ownloop.shown import shown


def text_of(what: str, value: Any) -> str:
    """Writes the user's own values as JSON; infinity and NaN are allowed here.

    Args:
        what: The value's name in errors, such as "loop.memory".
        value: The value.

    Raises:
        LoopError: It would come back as something else; says which part of it, and as
            what that can be written.

    Example:
        >>> text_of("loop.memory", {"best": 0.5})
        '{"best": 0.5}'
    """
    place, words = _flaw(value)
    if not words:
        try:
            return json.dumps(value)
        except ValueError as error:  # Such as an integer of too many digits.
            words = str(error)
    raise LoopError(
        f"{what}{place} cannot be saved: {words}. Expected dicts with strings as keys, "
        "lists, strings, numbers, booleans and None. Keep arrays in a keras.Variable "
        "that `Loop(...)` owns."
    )


def _flaw(value: Any) -> tuple[str, str]:
    """Returns what JSON would give back as something else, and not say so.

    That is its place, such as "['best'][0]", and words for it; empty if all is well.
    """
    entries: Iterable[tuple[Any, Any]] = ()
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return "", f"its key {shown(key)} would come back as a string"
        entries = value.items()
    elif type(value) is list:
        entries = enumerate(value)
    elif type(value) not in (str, int, float, bool, type(None)):
        return "", _no_json(value)
    for key, entry in entries:
        place, words = _flaw(entry)
        if words:
            return f"[{key!r}]{place}", words
    return "", ""


def _no_json(value: Any) -> str:
    """Says what a value is, and as what it can be written."""
    named = f"the {type(value).__name__} {shown(value)}"
    for plain in (dict, list, str, int, float):
        if isinstance(value, plain):
            back = plain.__name__
            return f"{named} would come back as a {back}: write {back}(...)"
    if isinstance(value, tuple):
        return f"{named} would come back as a list: write list(...)"
    number = value.item() if isinstance(value, np.generic) else None
    if isinstance(number, int | float):
        return f"{named} is no JSON: write {type(number).__name__}(...)"
    return f"{named} is no JSON"
