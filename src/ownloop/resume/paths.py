"""The paths of variables, compared with those of an earlier process.

Keras numbers its names by what was made before (`dense_4`), so equal paths are the
exception: two are alike where all but their numbers is the same.
"""

import re
from typing import Any, Final

import keras

_NUMBERED: Final = (keras.Layer, keras.optimizers.Optimizer, keras.Metric)


def plain_path(path: str) -> str:
    """Returns a Keras path without the numbers that depend on what was made before.

    So of a name that begins with one, such as that of a layer's setting.

    Example:
        >>> plain_path("sequential_1/dense_4/kernel")
        'sequential/dense/kernel'
    """
    return re.sub(r"_\d+(?=[_/.\[]|$)", "", path)


def may_be(path: str, earlier: str, *, is_same_script: bool) -> bool:
    """Whether a variable with this path may be the one that had the earlier path.

    Where a script is run again it makes on its way what it made then, or less, as
    finished epochs are not gone through: what has a higher number is another one.

    Example:
        >>> may_be("dense_4/kernel", "dense_2/kernel", is_same_script=False)
        True
        >>> may_be("dense_4/kernel", "dense_2/kernel", is_same_script=True)
        False
    """
    if plain_path(earlier) != plain_path(path):
        return False
    if not is_same_script:
        return True
    pairs = zip(_numbers(path), _numbers(earlier), strict=True)
    return all(mine <= theirs for mine, theirs in pairs)


def is_named_by_keras(thing: Any) -> bool:
    """Whether an object has the name of its class, which Keras numbers.

    Example:
        >>> layers = keras.layers.Dropout(0.1), keras.layers.Dropout(0.1, name="first")
        >>> [is_named_by_keras(layer) for layer in layers]
        [True, False]
    """
    return isinstance(thing, _NUMBERED) and (
        _plain_word(thing.name) == _plain_word(type(thing).__name__)
    )


def _plain_word(name: str) -> str:
    """Returns what Keras' own name for an object, and its class's, have in common."""
    return plain_path(name).replace("_", "").lower()


def _numbers(path: str) -> list[int]:
    """Returns the numbers that `plain_path` leaves out, 0 where there is none."""
    words = path.split("/")
    return [int(n) for w in words for n in [*re.findall(r"_(\d+)(?=_|$)", w), 0][:1]]
