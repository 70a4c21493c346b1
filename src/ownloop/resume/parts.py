"""What Keras objects are made of, each part under a name that does not move.

A variable's place among all of a model's is another one as long as a part of it is not
built, such as a head that only training uses. Its place in the layer that made it, and
that layer's place in the one around it, are the same from the beginning.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import keras

_RATE: Final = "learning_rate"


class Part(NamedTuple):
    """A part of an object, or the object itself.

    name: The words on the way to it. owner: What has it; None for an object itself.
    """

    name: str
    thing: Any
    owner: Any = None


def parts_of(name: str, thing: Any) -> Iterator[Part]:
    """Yields an object and all its parts; one that several have comes once for each.

    What is within a layer comes before the layer's own variables: one of its own may be
    that of another layer, and is so from when it is built.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> [part.name for part in parts_of("model", model)]
        ['model', 'model/0', 'model/0/weight0', 'model/0/weight1']
    """
    yield from _walk(Part(name, thing), set())


def is_rate(name: str) -> bool:
    """Whether a variable is an optimizer's rate, which a schedule takes away.

    Example:
        >>> optimizer = keras.optimizers.SGD(0.1)
        >>> [part.name for part in parts_of("sgd", optimizer) if is_rate(part.name)]
        ['sgd/learning_rate']
    """
    return name.endswith(f"/{_RATE}")


def holders_of(name: str, thing: Any) -> dict[str, list[str]]:
    """Returns by which attributes the parts of an object are held, by their names.

    Example:
        >>> layer = keras.layers.Layer()
        >>> layer.first = keras.layers.Dense(1)
        >>> holders_of("layer", layer)
        {'layer/0': ['first']}
    """
    attributes: dict[int, dict[int, list[str]]] = {}
    found = {}
    for part in parts_of(name, thing):
        if part.owner is not None:
            if id(part.owner) not in attributes:
                attributes[id(part.owner)] = _attributes(part.owner)
            if names := attributes[id(part.owner)].get(id(part.thing)):
                found[part.name] = names
    return found


def _walk(part: Part, seen: set[int]) -> Iterator[Part]:
    yield part
    name, thing, _ = part
    if id(thing) in seen:
        return
    seen.add(id(thing))
    for word, child in _children(thing).items():
        below = Part(f"{name}/{word}", child, thing)
        if isinstance(child, keras.Variable):
            yield below
        else:
            yield from _walk(below, seen)


def _children(thing: Any) -> Mapping[str, Any]:
    """Returns the parts that an object has itself. Keras has no public words for them.

    Those of each kind are counted apart: which are made first, those that `__init__`
    makes or those of `build`, has to do with their kind only.
    """
    if isinstance(thing, keras.Layer):
        # A `Sequential` gets its `InputLayer` when it is built.
        kind = keras.layers.InputLayer
        layers = [child for child in thing._layers if not isinstance(child, kind)]
        return (
            _counted("", layers)
            | _counted("weight", thing._trainable_variables)
            | _counted("state", thing._non_trainable_variables)
            | _counted("seed", [seed.state for seed in thing._seed_generators])
        )
    if isinstance(thing, keras.Metric):
        return _counted("", thing._variables) | _counted("metric", thing._metrics)
    if isinstance(thing, keras.optimizers.Optimizer):
        inner, rate = getattr(thing, "inner_optimizer", None), thing._learning_rate
        apart = set() if inner is None else {id(v) for v in inner.variables}
        found: dict[str, Any] = {} if inner is None else {"inner": inner}
        if isinstance(rate, keras.Variable):
            found[_RATE] = rate
        own = [v for v in thing.variables if v is not rate and id(v) not in apart]
        return found | _counted("", own)
    if isinstance(thing, keras.random.SeedGenerator):
        return {"0": thing.state}
    return {}


def _counted(word: str, things: Any) -> dict[str, Any]:
    return {f"{word}{i}": thing for i, thing in enumerate(things)}


def _attributes(thing: Any) -> dict[int, list[str]]:
    """Returns by identity the attributes that hold something.

    Not of what a list of the user's own holds: an attribute, such as the block that is
    trained now, may mean one and then another of those.
    """
    attributes = getattr(thing, "__dict__", {})
    found: dict[int, list[str]] = {}
    # PyTorch keeps layers in a place of their own.
    for name, value in {**attributes, **attributes.get("_modules", {})}.items():
        found.setdefault(id(value), []).append(name)
    for name, value in attributes.items():
        # Keras makes lists of its own of the user's; TensorFlow has one of everything.
        is_list = isinstance(value, list | dict | tuple)
        if is_list and type(value) not in (list, dict) and name[:6] != "_self_":
            for entry in value.values() if isinstance(value, dict) else value:
                found.pop(id(entry), None)
    return found
