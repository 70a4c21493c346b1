"""The settings of Keras objects: what they were made with, and no state remembers.

A dropout's rate, an optimizer's decay: a run that goes on with others comes to other
numbers, although every variable has its old value. So with `trainable` flags, which a
script also sets on its way.
"""

import re
from collections.abc import Iterable, Mapping
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
    flags = [(name, layer.trainable) for name, layer in _layers(walk)]
    return _numbered([*walk.numbers, *_rates(objects), *flags])


def flags_of(objects: Mapping[str, Any]) -> dict[str, bool]:
    """Returns the `trainable` flags of the layers among these, by name.

    Example:
        >>> flags_of({"layer": keras.layers.Dropout(0.3)})
        {'dropout.trainable': True}
    """
    walk = Walk()
    walk.look_at(objects)
    return {n: layer.trainable for n, layer in _numbered(_layers(walk)).items()}


def put_flags(objects: Mapping[str, Any], flags: Mapping[str, bool]) -> None:
    """Puts back what `flags_of` has returned, unless there are other layers now."""
    walk = Walk()
    walk.look_at(objects)
    layers = _numbered(_layers(walk))
    if layers.keys() != flags.keys():
        return
    # A layer's flag sets those within it, too: they come right from the outermost in.
    for _ in layers:
        wrong = [n for n, layer in layers.items() if layer.trainable != flags[n]]
        if not wrong:
            return
        for name in wrong:
            layers[name].trainable = flags[name]


def _layers(walk: Walk) -> list[tuple[str, keras.Layer]]:
    found = [thing for thing in walk.owners if isinstance(thing, keras.Layer)]
    return [(f"{layer.name}.trainable", layer) for layer in found]


def _numbered(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in named:
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
