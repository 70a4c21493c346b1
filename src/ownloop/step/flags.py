"""The `trainable` flags of layers, which a script may also set on its way."""

from collections.abc import Mapping
from typing import Any

import keras

from ownloop.step.walk import Walk
from ownloop.step.wording import free_name, without_number


def flags_of(objects: Mapping[str, Any]) -> dict[str, bool]:
    """Returns the `trainable` flags of the layers among these, by name.

    Example:
        >>> flags_of({"layer": keras.layers.Dropout(0.3)})
        {'dropout.trainable': True}
    """
    return {name: layer.trainable for name, layer in flagged(objects).items()}


def put_flags(objects: Mapping[str, Any], flags: Mapping[str, bool]) -> None:
    """Puts back what `flags_of` has returned, unless there are other layers now."""
    layers = flagged(objects)
    if layers.keys() != flags.keys():
        return
    # A layer's flag sets those within it, too: they come right from the outermost in.
    for _ in layers:
        wrong = [n for n, layer in layers.items() if layer.trainable != flags[n]]
        if not wrong:
            return
        for name in wrong:
            layers[name].trainable = flags[name]


def flagged(objects: Mapping[str, Any]) -> dict[str, keras.Layer]:
    """Returns the layers among these, by the names of their flags.

    Example:
        >>> list(flagged({"layer": keras.layers.Dropout(0.3)}))
        ['dropout.trainable']
    """
    walk = Walk()
    # By their words: nothing depends on the order in which a script names them.
    walk.look_at(dict(sorted(objects.items())))
    found: dict[str, keras.Layer] = {}
    for thing in walk.owners:
        if isinstance(thing, keras.Layer):
            name = f"{without_number(thing.name)}.trainable"
            found[free_name(name, found)] = thing
    return found
