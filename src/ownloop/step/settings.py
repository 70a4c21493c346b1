"""The settings of Keras objects: what they were made with, and no state remembers.

A dropout's rate, an optimizer's decay: a run that goes on with others comes to other
numbers, although every variable has its old value.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ownloop.step.walk import Walk

_LONG = 1000
"""A text with more characters than this is known by its hash."""


def settings_of(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numbers and flags of the Keras objects among these, by name.

    Names that Keras numbers by what was made before are numbered by their order here.

    Example:
        >>> settings_of({"layer": keras.layers.Dropout(0.3)})["dropout.rate"]
        0.3
    """
    walk = Walk()
    walk.look_at(objects)
    found: dict[str, Any] = {}
    for name, value in [*walk.numbers, *_rates(objects)]:
        owner, dot, attribute = name.partition(".")
        plain = re.sub(r"_\d+$", "", owner) + dot + attribute
        number, key = 1, plain
        while key in found:
            number += 1
            key = f"{plain} ({number})"
        found[key] = as_json(value)
    return found


def as_json(value: Any) -> Any:
    """Returns a setting as JSON, or in words that are the same in every process.

    Example:
        >>> [as_json(v) for v in (0.5, 3, "same", None, -np.inf, np.float32(0.5))]
        [0.5, 3, 'same', None, '-inf', 'float32 0.5']
    """
    kind = type(value)
    if kind in (bool, int, type(None)) or (kind is float and math.isfinite(value)):
        return value
    if kind is str:
        return value if len(value) <= _LONG else _digest(value)
    if kind is float:
        return repr(value)
    words = str(value.item()) if isinstance(value, np.generic) else repr(value)
    return f"{kind.__name__} {words if len(words) <= _LONG else _digest(words)}"


def _digest(words: str) -> str:
    return f"of {len(words)} characters, {hashlib.sha256(words.encode()).hexdigest()}"


def _rates(objects: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Returns the learning rates, which are variables where they are no schedule."""
    return [
        (f"{thing.name}.learning_rate", float(rate))
        for thing in objects.values()
        if isinstance(thing, keras.optimizers.Optimizer)
        and isinstance(rate := thing.get_config().get("learning_rate"), float)
    ]
