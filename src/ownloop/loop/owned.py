"""The objects that a loop owns by name, and their values kept and put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import Snapshot
from ownloop.errors import LoopError


@final
@dataclass(frozen=True)
class Saved:
    """The state of a loop's objects at one instant."""

    variables: tuple[keras.Variable, ...]
    values: Snapshot
    states: Mapping[str, Any]


def check(name: str, thing: Any) -> None:
    """Refuses an object whose state cannot be found.

    Raises:
        LoopError: It is neither a Keras object with variables, nor has it the methods
            `get_state` and `set_state`.
    """
    if _is_keras(thing) or _is_stateful(thing):
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


def save(objects: Mapping[str, Any]) -> Saved:
    """Keeps the values of all variables and states."""
    found = {id(v): v for thing in objects.values() for v in variables_of(thing)}
    variables = tuple(found.values())
    states = {n: t.get_state() for n, t in objects.items() if not _is_keras(t)}
    return Saved(variables, backends.current().read(variables), states)


def load(objects: Mapping[str, Any], saved: Saved) -> None:
    """Puts the values back that `save` has kept.

    Raises:
        LoopError: An object has got variables since, of which nothing was kept.
    """
    known = {id(variable) for variable in saved.variables}
    for name, thing in objects.items():
        new = [v.path for v in variables_of(thing) if id(v) not in known]
        if new:
            raise LoopError(
                f"`loop.load` cannot put {name!r} back: {len(new)} of its variables, "
                f"such as {new[0]!r}, were made after `loop.save`. They would keep "
                "their present values in silence. Build the object before it is saved: "
                "a model with `keras.Input`, an optimizer with "
                "`optimizer.build(model.trainable_variables)`."
            )
    backends.current().write(saved.variables, saved.values)
    for name, state in saved.states.items():
        objects[name].set_state(state)


def _is_keras(thing: Any) -> bool:
    return isinstance(
        thing,
        keras.Layer
        | keras.optimizers.Optimizer
        | keras.Metric
        | keras.Variable
        | keras.random.SeedGenerator,
    )


def _is_stateful(thing: Any) -> bool:
    return callable(getattr(thing, "get_state", None)) and callable(
        getattr(thing, "set_state", None)
    )
