"""The settings of Keras objects: what they were made with, and no state remembers.

A dropout's rate, an optimizer's decay: a run that goes on with others comes to other
numbers, although every variable has its old value. So with `trainable` flags.
"""

from collections.abc import Mapping
from typing import Any

import keras

from ownloop.step.configs import config_of, graph_of
from ownloop.step.flags import flags_of
from ownloop.step.walk import Walk, schedule_of
from ownloop.step.wording import as_json, free_name, without_number


def settings_of(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of the Keras objects among these, by name, as JSON.

    Under the name of each object what it was made with, and then the other numbers
    that it has. Names that Keras numbers by what was made before are numbered by their
    order here.

    Example:
        >>> settings_of({"layer": keras.layers.Dropout(0.3)})["dropout"]["rate"]
        0.3
    """
    walk = Walk()
    # By their words: nothing depends on the order in which a script names them.
    walk.look_at(dict(sorted(objects.items())))
    found: dict[str, Any] = {}
    told: set[str] = set()
    for thing in walk.things:
        name, config, graph = thing.name, config_of(thing), graph_of(thing)
        told.update(f"{name}.{attribute}" for attribute in config)
        found[free_name(without_number(name), found)] = config
        if graph:
            found[free_name(f"{without_number(name)}.graph", found)] = graph
    for name, value in [*walk.numbers, *_rates(objects)]:
        if name not in told:
            owner, dot, attribute = name.partition(".")
            plain = without_number(owner) + dot + attribute
            found[free_name(plain, found)] = as_json(value)
    return found | flags_of(objects)


def in_both(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what two times have in common: by dotted name, the value then and now.

    What is there in one of them alone has to do with what is built.

    Example:
        >>> in_both({"a": {"rate": 1}, "b.c": 2}, {"a": {"size": 3}})
        {'a.rate': (1, None), 'a.size': (None, 3)}
    """
    found: dict[str, tuple[Any, Any]] = {}
    for name in (n for n in before if n in now):
        mine, theirs = before[name], now[name]
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            for key in dict.fromkeys([*mine, *theirs]):
                found[f"{name}.{key}"] = mine.get(key), theirs.get(key)
        else:
            found[name] = mine, theirs
    return found


def _rates(objects: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Returns the learning rates, which are variables where they are no schedule."""
    return [
        (f"{thing.name}.learning_rate", float(rate))
        for thing in objects.values()
        if isinstance(thing, keras.optimizers.Optimizer)
        and schedule_of(thing) is None
        and isinstance(rate := thing.get_config().get("learning_rate"), float)
    ]
