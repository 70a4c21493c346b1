"""The objects that a loop owns by name, and their values kept and put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop.checkpoints import Entry
from ownloop.errors import LoopError


@final
@dataclass(frozen=True)
class Saved:
    """The state of a loop's objects at one instant.

    entries: by the names of the variables. states: of objects with their own kind.
    """

    entries: Mapping[str, Entry]
    states: Mapping[str, Any]


def check(name: str, thing: Any) -> None:
    """Refuses an object whose state cannot be found.

    Raises:
        LoopError: It is neither a Keras object with variables, nor has it the methods
            `get_state` and `set_state`.
    """
    if _is_keras(thing) or is_stateful(thing):
        return
    raise LoopError(
        f"`Loop({name}=...)` got a {type(thing).__name__}, whose state cannot be "
        "found. Expected a Keras model, layer, optimizer, metric, seed generator or "
        "variable, or an object with the methods `get_state()` and "
        "`set_state(state)`. Pass one of these; the data and the steps belong to "
        "`epoch.train` and `epoch.validate`, and plain values into `loop.memory`."
    )


def variables_of(thing: Any) -> tuple[keras.Variable, ...]:
    """Returns the variables of an object; none for one with a state of its own kind."""
    if isinstance(thing, keras.Variable):
        return (thing,)
    if isinstance(thing, keras.random.SeedGenerator):
        return (thing.state,)
    return tuple(thing.variables) if _is_keras(thing) else ()


def states(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the states of the objects that have one of their own kind."""
    return {n: t.get_state() for n, t in objects.items() if not _is_keras(t)}


def put_states(objects: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Puts back what `states` has returned."""
    for name, state in kept.items():
        objects[name].set_state(state)


def is_stateful(thing: Any) -> bool:
    """Whether an object has the methods `get_state` and `set_state`."""
    return callable(getattr(thing, "get_state", None)) and callable(
        getattr(thing, "set_state", None)
    )


def _is_keras(thing: Any) -> bool:
    return isinstance(
        thing,
        keras.Layer
        | keras.optimizers.Optimizer
        | keras.Metric
        | keras.Variable
        | keras.random.SeedGenerator,
    )
