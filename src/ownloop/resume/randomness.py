"""The generators of random numbers that a script may draw from, kept and put back.

Python's own, NumPy's legacy one, the framework's, where steps draw from one, and that
of PyTorch's loaders. Keras' seed generators are variables, and found like any other.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from ownloop import backends
from ownloop.backends import loaders
from ownloop.backends.contract import Snapshot


def read() -> dict[str, dict[str, Any]]:
    """Returns the generators' states by name: JSON, but for the arrays in it.

    Example:
        >>> states = read()
        >>> "python" in states, "numpy" in states
        (True, True)
        >>> random.random() == (write(states), random.random())[1]
        True
    """
    version, words, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    states: dict[str, dict[str, Any]] = {
        "python": {
            "words": np.array(words, np.uint32),
            "rest": [version, None if gauss is None else gauss.hex()],
        },
        "numpy": {
            "words": np.array(keys),
            "rest": [kind, int(place), int(has_gauss), float(cached).hex()],
        },
    }
    framework = backends.current().read(()).random
    if framework:
        words = [np.array(state) for state in framework]
        states["framework"] = {str(i): state for i, state in enumerate(words)}
    if (loader := loaders.read()) is not None:
        states["loaders"] = {"words": loader}
    return states


def write(states: Mapping[str, Mapping[str, Any]]) -> None:
    """Puts back the states of the generators that are named."""
    if "python" in states:
        version, gauss = states["python"]["rest"]
        words = tuple(int(word) for word in states["python"]["words"])
        spare = None if gauss is None else float.fromhex(gauss)
        random.setstate((version, words, spare))
    if "numpy" in states:
        kind, place, has_gauss, cached = states["numpy"]["rest"]
        keys = np.asarray(states["numpy"]["words"])
        np.random.set_state((kind, keys, place, has_gauss, float.fromhex(cached)))
    if "framework" in states:
        framework = states["framework"]
        values = tuple(np.asarray(framework[str(i)]) for i in range(len(framework)))
        backends.current().write((), Snapshot((), values))
    if "loaders" in states:
        loaders.write(np.asarray(states["loaders"]["words"]))


def drawn(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Names the generators whose states are not what they were.

    Example:
        >>> before = read()
        >>> number = np.random.uniform()
        >>> drawn(before, read())
        {'numpy'}
    """
    return {name for name in now if not _is_same(before.get(name), now[name])}


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        is_alike = one.keys() == other.keys()
        return is_alike and all(_is_same(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)
