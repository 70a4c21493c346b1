"""What optimizers were built for, so that another process builds them alike.

An optimizer makes its variables at its first step, for what is trainable then. Where
layers were frozen since, a first step in another process would make fewer.
"""

from collections.abc import Mapping
from typing import Any

import keras

from ownloop.errors import CheckpointError


def built_for(
    objects: Mapping[str, Any], variables: Mapping[str, keras.Variable]
) -> dict[str, list[str]]:
    """Returns for each optimizer that is built the names of what it was built for.

    Args:
        objects: The loop's own.
        variables: By name, those of the run. An optimizer of others is left out.

    Example:
        >>> weight, optimizer = keras.Variable(0.0), keras.optimizers.SGD()
        >>> optimizer.build([weight])
        >>> built_for({"optimizer": optimizer}, {"weight/0": weight})
        {'optimizer': ['weight/0']}
    """
    known = {id(variable): name for name, variable in variables.items()}
    found = {}
    for word, thing in _optimizers(objects).items():
        # Keras has no public word for them.
        sources = getattr(thing, "_trainable_variables", None) or []
        if thing.built and sources and all(id(v) in known for v in sources):
            found[word] = [known[id(variable)] for variable in sources]
    return found


def build(
    objects: Mapping[str, Any],
    orders: Mapping[str, list[str]],
    variables: Mapping[str, keras.Variable],
) -> None:
    """Builds optimizers that are not built for what `built_for` has returned.

    Where some of it is not there yet, the first step builds them.
    """
    for word, thing in _optimizers(objects).items():
        names = orders.get(word, [])
        if names and not thing.built and all(name in variables for name in names):
            # In a scope, as the first step does it: paths of slots begin with it.
            with keras.name_scope(thing.name, caller=thing):
                thing.build([variables[name] for name in names])


def not_built(
    objects: Mapping[str, Any], orders: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """Returns what `built_for` has returned of those that wait for their first step."""
    return {
        word: orders[word]
        for word, thing in _optimizers(objects).items()
        if word in orders and not thing.built
    }


def check_built(
    objects: Mapping[str, Any],
    orders: Mapping[str, list[str]],
    variables: Mapping[str, keras.Variable],
) -> None:
    """Refuses optimizers that a first step has built for others than in the run.

    Raises:
        CheckpointError: One has other slots then, and would go on with wrong values.
    """
    for word, names in built_for(objects, variables).items():
        if word in orders and names != orders[word]:
            raise CheckpointError(
                f"The optimizer {word!r} was built for {len(orders[word])} variables, "
                f"and is now for {len(names)}, since other layers are trainable. "
                "Expected those of the run, for which its moments were saved; nothing "
                "changed. Build the model before `loop.epochs`, with `keras.Input` or "
                "by a call, so that the optimizer can be built as it was."
            )


def _optimizers(objects: Mapping[str, Any]) -> dict[str, keras.optimizers.Optimizer]:
    return {
        word: thing
        for word, thing in objects.items()
        if isinstance(thing, keras.optimizers.Optimizer)
    }
