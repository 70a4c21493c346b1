"""What a Keras object was made with: its values for what its constructors ask for.

Flat, as JSON, and the same in every process that makes the same object: without names,
which Keras numbers by what was made before, and without initializers, whose work is in
a checkpoint. Keras' own `get_config` is not asked for this: on every backend it imports
TensorFlow where that is installed, which takes seconds.
"""

import functools
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import keras

from ownloop.step.wording import as_json, in_short, is_plain

_LEFT_OUT: Final = frozenset(
    {
        "self",
        "args",
        "kwargs",
        "name",
        # Compared as flags, which a script may set on its way.
        "trainable",
        # A variable, or a schedule, which the walk has found.
        "learning_rate",
        # Told as the dtype policy.
        "dtype",
        # Told by their kinds, and by `graph_of`.
        "layers",
        "inputs",
        "outputs",
        # Of the first input, which a layer that was not called has not seen.
        "input_shape",
        "input_dim",
        # Where none was given, Keras draws one.
        "seed",
    }
)
_MANY: Final = 16
"""A list with more entries is told as a text, which may be its hash."""
_NESTED: Final = (keras.Regularizer, keras.constraints.Constraint)


def config_of(thing: Any) -> dict[str, Any]:
    """Returns what an object was made with, by dotted names; nothing for None.

    Functions are known by their names; arrays and objects by their kinds alone.

    Example:
        >>> layer = keras.layers.Dense(3, activation="relu", kernel_regularizer="l2")
        >>> config_of(layer)["activation"], config_of(layer)["kernel_regularizer.l2"]
        ('relu', 0.01)
    """
    found = dict(_made_with(thing, ""))
    if isinstance(thing, keras.Layer):
        found["dtype"] = thing.dtype_policy.name
    if isinstance(thing, keras.Model):
        words = (type(layer).__name__ for layer in thing.layers)
        found.update((f"layers[{i}]", word) for i, word in enumerate(words))
    return found


def graph_of(thing: Any) -> dict[str, str]:
    """Says of each layer of a functional model what it is called with, by place.

    Nothing where Keras would have to import TensorFlow to tell.
    """
    is_costly = "tensorflow" not in sys.modules and _is_tensorflow_installed()
    if is_costly or not isinstance(thing, keras.Model):
        return {}
    try:
        config = thing.get_config()
        layers = config["layers"]
        places = {entry["name"]: i for i, entry in enumerate(layers)}
        words = [
            f"{entry['class_name']} of {_joined(entry['inbound_nodes'], places)}"
            for entry in layers
        ]
    except Exception:  # No functional model, or a layer of the user's refuses to tell.
        return {}
    return {f"layers[{i}]": in_short(word) for i, word in enumerate(words)}


@functools.cache
def _is_tensorflow_installed() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _joined(value: Any, places: Mapping[str, int]) -> Any:
    """Returns what a layer is called with: places of layers, and plain values."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return _joined(value["config"]["keras_history"], places)
        entries = {str(key): _joined(entry, places) for key, entry in value.items()}
        return {key: e for key, e in entries.items() if e not in (None, {}, [])}
    if isinstance(value, list | tuple):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in places:
            place = places[value[0]]
            return [place, *value[1:]] if any(value[1:]) else place
        return [_joined(entry, places) for entry in value]
    return _word(value)


def _made_with(thing: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in _parameters(type(thing)):
        try:
            value = getattr(thing, name, None)
        except Exception:  # A property that cannot tell by now.
            continue
        if not name.endswith("_initializer"):
            yield from _flat(prefix + name, value)


def _parameters(kind: type) -> tuple[str, ...]:
    """Returns what the constructors of a class and of its bases ask for."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        if base is not object and "__init__" in vars(base):
            names |= dict.fromkeys(inspect.signature(vars(base)["__init__"]).parameters)
    return tuple(name for name in names if name not in _LEFT_OUT)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields what is in a value, by dotted names."""
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _flat(f"{name}.{key}", entry)
    elif isinstance(value, list | tuple):
        words = [_word(entry) for entry in value]
        yield name, words if len(words) <= _MANY else in_short(str(words))
    elif isinstance(value, set | frozenset):
        yield name, in_short(str(sorted(map(str, map(_word, value)))))
    else:
        yield name, _word(value)
        if isinstance(value, _NESTED):
            yield from _made_with(value, f"{name}.")


def _word(value: Any) -> Any:
    """Returns a value, a function's name or an object's kind as JSON."""
    if is_plain(value):
        return as_json(value)
    if inspect.isroutine(value):
        return str(getattr(value, "__name__", "a function"))
    return type(value).__name__
