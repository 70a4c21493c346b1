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


def read() -> dict[str, Any]:
    """Returns the generators' states by name, as each has it.

    Quickly, since a stream is watched by it at each of its batches.

    Example:
        >>> states = read()
        >>> "python" in states, "numpy" in states
        (True, True)
        >>> random.random() == (write(states), random.random())[1]
        True
    """
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),
    }
    # Each device of PyTorch has a generator of its own.
    for i, part in enumerate(backends.current().read(()).random or ()):
        states[_framework(i)] = (part,)
    if (loader := loaders.read()) is not None:
        states["loaders"] = (loader,)
    return states


def write(states: Mapping[str, Any]) -> None:
    """Puts back the states of the generators that are named."""
    if "python" in states:
        random.setstate(states["python"])
    if "numpy" in states:
        np.random.set_state(states["numpy"])
    framework = backends.current().read(()).random or ()
    if any(_framework(i) in states for i in range(len(framework))):
        parts = (
            states.get(_framework(i), (part,))[0] for i, part in enumerate(framework)
        )
        backends.current().write((), Snapshot((), tuple(parts)))
    if "loaders" in states:
        loaders.write(states["loaders"][0])


def drawn(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Names the generators whose states are not what they were.

    Example:
        >>> before = read()
        >>> number = np.random.uniform()
        >>> drawn(before, read())
        {'numpy'}
    """
    return {n for n in now if n in before and not _is_same(before[n], now[n])}


def pack(states: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns states as JSON, but for the arrays in it; see `unpack`."""
    packed: dict[str, dict[str, Any]] = {}
    for name, state in states.items():
        if name == "python":
            version, words, gauss = state
            rest = [version, None if gauss is None else gauss.hex()]
            packed[name] = {"words": np.array(words, np.uint32), "rest": rest}
        elif name == "numpy":
            kind, keys, place, has_gauss, cached = state
            rest = [kind, int(place), int(has_gauss), float(cached).hex()]
            packed[name] = {"words": np.array(keys), "rest": rest}
        else:
            packed[name] = {str(i): np.array(part) for i, part in enumerate(state)}
    return packed


def unpack(packed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Gives back what `pack` was given.

    Example:
        >>> states = read()
        >>> drawn(states, unpack(pack(states)))
        set()
    """
    states: dict[str, Any] = {}
    for name, parts in packed.items():
        if name == "python":
            version, gauss = parts["rest"]
            words = tuple(int(word) for word in parts["words"])
            spare = None if gauss is None else float.fromhex(gauss)
            states[name] = (version, words, spare)
        elif name == "numpy":
            kind, place, has_gauss, cached = parts["rest"]
            keys = np.asarray(parts["words"])
            states[name] = (kind, keys, place, has_gauss, float.fromhex(cached))
        else:
            states[name] = tuple(np.asarray(parts[str(i)]) for i in range(len(parts)))
    return states


def _framework(number: int) -> str:
    """Names one of the framework's generators."""
    return f"framework {number}" if number else "framework"


def _is_same(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    # Tuples of numbers, words and arrays; a tensor is compared as the array that it is.
    return all(
        np.array_equal(np.asarray(a), np.asarray(b))
        if hasattr(a, "shape")
        else bool(a == b)
        for a, b in zip(one, other, strict=True)
    )
