"""The objects that a loop owns by name, and their values kept and put back."""

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from ownloop.checkpoints import Entry, holds
from ownloop.errors import LoopError
from ownloop.resume.parts import holders_of, is_rate, parts_of


@final
@dataclass(frozen=True)
class Saved:
    """The state of a loop's objects at one instant.

    entries: by the names of the variables. states: of objects with their own kind.
    """

    entries: Mapping[str, Entry]
    states: Mapping[str, Any]


_SEED = "/seed_generator_state"
_TAKEN = ("found", "logged", "random", "reading", "saved")
"""Under these words a checkpoint has what no object owns."""
_NEAR = 0.7
"""How like an argument's name another must be to be taken for it."""


def check(name: str, thing: Any, arguments: Sequence[str] = ()) -> None:
    """Refuses an object whose state cannot be found, or would be mixed with others.

    Args:
        name: The object's name.
        thing: The object.
        arguments: Names that mean something else, which may be mistyped.

    Raises:
        LoopError: It is neither a Keras object with variables, nor has it the methods
            `get_state` and `set_state`; or it has a name that is taken.
    """
    if name in _TAKEN or "/" in name:
        raise LoopError(
            f"`Loop(...)` got an object under the name {name!r}. Expected a word "
            f"without a slash that is none of {', '.join(map(repr, _TAKEN))}, under "
            f"which checkpoints keep other things. Call it {'my_' + name!r}, or as you "
            "like."
        )
    if _is_keras(thing) or is_stateful(thing):
        return
    near = difflib.get_close_matches(name, arguments, n=1, cutoff=_NEAR)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise LoopError(
        f"`Loop({name}=...)` got a {type(thing).__name__}, whose state cannot be "
        "found. Expected a Keras model, layer, optimizer, metric, seed generator or "
        "variable, or an object with the methods `get_state()` and "
        "`set_state(state)`. Pass one of these; data and steps go to `epoch.train` and "
        f"`epoch.validate`, plain values into `loop.memory`.{hint}"
    )


def variables_of(thing: Any) -> tuple[keras.Variable, ...]:
    """Returns the variables of an object; none for one with a state of its own kind."""
    if isinstance(thing, keras.Variable):
        return (thing,)
    if isinstance(thing, keras.random.SeedGenerator):
        return (thing.state,)
    return tuple(thing.variables) if _is_keras(thing) else ()


def named(objects: Mapping[str, Any]) -> dict[str, keras.Variable]:
    """Returns all variables of the objects, each once, by object and place in it.

    Example:
        >>> list(named({"weight": keras.Variable(0.0)}))
        ['weight/0']
    """
    found: dict[int, tuple[str, keras.Variable]] = {}
    for word, thing in objects.items():
        if isinstance(thing, keras.Variable):
            found.setdefault(id(thing), (f"{word}/0", thing))
            continue
        for part in parts_of(word, thing):
            if isinstance(part.thing, keras.Variable):
                found.setdefault(id(part.thing), (part.name, part.thing))
        # Those of a class of the user's own, which says by itself what it has.
        for i, variable in enumerate(variables_of(thing)):
            found.setdefault(id(variable), (f"{word}/more{i}", variable))
    return dict(found.values())


def holders(objects: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns by which attributes parts of the objects are held, by the parts' names.

    Example:
        >>> holders({"dense": keras.layers.Dense(1)})
        {}
    """
    found: dict[str, list[str]] = {}
    for word, thing in objects.items():
        found |= holders_of(word, thing)
    return found


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a seed generator.

    Example:
        >>> is_seed(keras.random.SeedGenerator(1).state)
        True
    """
    return bool(variable.path.endswith(_SEED))


def held_dtype(variable: keras.Variable) -> str:
    """Returns the dtype that a variable's values have, which may not be its own word.

    PyTorch keeps an uint16 as an int32, JAX without x64 a float64 as a float32.
    """
    return str(keras.backend.standardize_dtype(variable.value.dtype))


def check_dtypes(variables: Mapping[str, keras.Variable]) -> None:
    """Refuses variables that no checkpoint can hold, before a step has run.

    Raises:
        LoopError: One has such a dtype.
    """
    for name, variable in variables.items():
        if not holds(dtype := held_dtype(variable)):
            raise LoopError(
                f"The variable {variable.path!r} ({name}) is of dtype {dtype}, which "
                "cannot be saved. Expected booleans, integers, floats of 8 to 64 bits "
                "or complex64, since the loop has a folder. Keep it as two variables, "
                "such as its real and its imaginary part, or leave out the folder."
            )


def entries_of(variables: Mapping[str, keras.Variable]) -> dict[str, Entry]:
    """Copies the values of variables to the host, each with what it is.

    Example:
        >>> entries_of({"w/0": keras.Variable(2.0, name="w")})["w/0"].array
        array(2., dtype=float32)
    """
    return {
        name: Entry(
            # A copy: the framework may change its own memory while this is written.
            np.array(keras.ops.convert_to_numpy(variable.value)),
            "trainable" if variable.trainable else "state",
            variable.path,
        )
        for name, variable in variables.items()
    }


def save(objects: Mapping[str, Any], waiting: Mapping[str, Entry]) -> Saved:
    """Keeps the values of all variables and states.

    Args:
        objects: The loop's own.
        waiting: Values for variables of theirs that do not exist yet.
    """
    return Saved({**waiting, **entries_of(named(objects))}, states(objects))


def load(
    objects: Mapping[str, Any],
    saved: Saved,
    waiting: Mapping[str, Entry],
    *,
    is_returning: bool = False,
) -> dict[str, Entry]:
    """Puts the values back that `save` has kept.

    Args:
        objects: The loop's own.
        saved: What `save` has kept.
        waiting: Values for variables of theirs that do not exist yet.
        is_returning: Whether the run has done this already, perhaps before it had all
            the variables that it has now; they get their values where it goes on.

    Returns:
        The values that such variables are to get instead.

    Raises:
        LoopError: An object has got variables since, of which nothing was kept.
    """
    variables = named(objects)
    paths = {n: e.path for n, e in waiting.items()}
    paths |= {n: v.path for n, v in variables.items()}
    new = [n for n in paths if n not in saved.entries and not is_rate(n)]
    if new and not is_returning:
        thing, path = new[0].partition("/")[0], paths[new[0]]
        count = sum(name.startswith(f"{thing}/") for name in new)
        raise LoopError(
            f"`loop.load` cannot put {thing!r} back: {count} of its variables, such as "
            f"{path!r}, were made after `loop.save`. They would keep their present "
            "values in silence. Build the object before it is saved: a model with "
            "`keras.Input`, an optimizer with "
            "`optimizer.build(model.trainable_variables)`."
        )
    for name, variable in variables.items():
        if name in saved.entries:
            variable.assign(saved.entries[name].array)
    put_states(objects, saved.states)
    return {
        n: e for n, e in saved.entries.items() if n not in variables and not is_rate(n)
    }


def states(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the states of the objects that have one of their own kind."""
    # Copies: what an object gives may be its own, and change.
    return {
        n: copy.deepcopy(t.get_state()) for n, t in objects.items() if not _is_keras(t)
    }


def put_states(objects: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Puts back what `states` has returned."""
    for name, state in kept.items():
        objects[name].set_state(copy.deepcopy(state))


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
