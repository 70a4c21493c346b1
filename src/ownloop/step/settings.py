"""The settings of Keras objects: what they were made with, and no state remembers.

A dropout's rate, an optimizer's decay: a run that goes on with others comes to other
numbers, although every variable has its old value. So with `trainable` flags.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import keras

from ownloop.step.configs import config_of, graph_of
from ownloop.step.flags import flagged
from ownloop.step.walk import Walk, schedule_of
from ownloop.step.wording import as_json, free_name, without_number


def settings_of(
    objects: Mapping[str, Any], *, but_of: Collection[str] = ()
) -> dict[str, Any]:
    """Returns the settings of the Keras objects among these, by name, as JSON.

    Under the name of each object what it was made with, and then the other numbers
    that it has. Names that Keras numbers by what was made before are numbered by their
    order here.

    Args:
        objects: Keras objects, and others, by name.
        but_of: Names of objects whose settings are left out, and those of what they
            hold; the others are named as if they were there.

    Example:
        >>> settings_of({"layer": keras.layers.Dropout(0.3)})["dropout"]["rate"]
        0.3
    """
    walk = Walk()
    # By their words: nothing depends on the order in which a script names them.
    walk.look_at(dict(sorted(objects.items())))
    apart = Walk()
    apart.look_at({name: thing for name, thing in objects.items() if name in but_of})
    known, numbers = set(map(id, apart.things)), {name for name, _ in apart.numbers}
    numbers |= {name for name, _ in _rates(apart.things)}
    found: dict[str, Any] = {}
    told: set[str] = set()
    left_out: set[str] = set()
    for thing in walk.things:
        name, config, graph = thing.name, config_of(thing), graph_of(thing)
        told.update(f"{name}.{attribute}" for attribute in config)
        entries = [(without_number(name), config)]
        if graph:
            entries.append((f"{without_number(name)}.graph", graph))
        for plain, entry in entries:
            word = free_name(plain, found)
            found[word] = entry
            if id(thing) in known:
                left_out.add(word)
    for name, value in [*walk.numbers, *_rates(objects.values())]:
        if name not in told:
            owner, dot, attribute = name.partition(".")
            word = free_name(without_number(owner) + dot + attribute, found)
            found[word] = as_json(value)
            if name in numbers:
                left_out.add(word)
    layers = flagged(objects)
    left_out |= {name for name, layer in layers.items() if id(layer) in known}
    found |= {name: layer.trainable for name, layer in layers.items()}
    return {name: value for name, value in found.items() if name not in left_out}


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


def _rates(things: Iterable[Any]) -> list[tuple[str, float]]:
    """Returns the learning rates, which are variables where they are no schedule."""
    return [
        (f"{thing.name}.learning_rate", float(rate))
        for thing in things
        if isinstance(thing, keras.optimizers.Optimizer)
        and schedule_of(thing) is None
        and isinstance(rate := thing.get_config().get("learning_rate"), float)
    ]
