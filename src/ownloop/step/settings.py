"""The settings of Keras objects: what they were made with, and no state remembers.

A dropout's rate, an optimizer's decay: a run that goes on with others comes to other
numbers, although every variable has its old value.
"""

import re
from collections.abc import Mapping
from typing import Any

import keras

from ownloop.step.walk import Walk


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
        found[key] = value
    return found


def _rates(objects: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Returns the learning rates, which are variables where they are no schedule."""
    return [
        (f"{thing.name}.learning_rate", float(rate))
        for thing in objects.values()
        if isinstance(thing, keras.optimizers.Optimizer)
        and isinstance(rate := thing.get_config().get("learning_rate"), float)
    ]
