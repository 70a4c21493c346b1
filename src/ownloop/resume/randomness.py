"""The generators of random numbers that a script may draw from, kept and put back.

Python's own, NumPy's legacy one, and the framework's, where steps draw from one. Keras'
seed generators are variables, and found like any other.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from ownloop import backends
from ownloop.backends.contract import Snapshot


def read() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the generators' states: arrays by name, and the rest as JSON.

    Example:
        >>> arrays, _ = read()
        >>> "random/numpy" in arrays, "random/python" in arrays
        (True, True)
    """
    version, words, gauss = random.getstate()
    kind, keys, place, has_gauss, cached = np.random.get_state(legacy=True)
    arrays = {
        "random/python": np.array(words, np.uint32),
        "random/numpy": np.array(keys),
    }
    framework = backends.current().read(()).random
    for i, state in enumerate(framework or ()):
        arrays[f"random/framework/{i}"] = np.array(state)
    rest = {
        "python": [version, None if gauss is None else gauss.hex()],
        "numpy": [kind, int(place), int(has_gauss), float(cached).hex()],
    }
    return arrays, rest


def write(arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> None:
    """Puts the generators' states back."""
    version, gauss = rest["python"]
    words = tuple(int(word) for word in arrays["random/python"])
    random.setstate((version, words, None if gauss is None else float.fromhex(gauss)))
    kind, place, has_gauss, cached = rest["numpy"]
    np.random.set_state(
        (kind, arrays["random/numpy"], place, has_gauss, float.fromhex(cached))
    )
    framework = [
        arrays[name] for name in sorted(arrays) if name.startswith("random/framework/")
    ]
    if framework:
        backends.current().write((), Snapshot((), tuple(framework)))
