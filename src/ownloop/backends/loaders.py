"""The generator by which PyTorch's loaders shuffle, where another backend trains.

Many read their data with a `torch.utils.data.DataLoader` and train on JAX. Nothing is
imported for it: where nobody has imported PyTorch, nobody has such a loader.
"""

import importlib
import sys

import keras
import numpy as np


def read() -> np.ndarray | None:
    """Returns the generator's state; None where there is none, or a room knows it.

    Example:
        >>> state = read()
        >>> write(state)
    """
    if keras.backend.backend() == "torch" or "torch" not in sys.modules:
        return None
    return np.array(sys.modules["torch"].get_rng_state())


def write(state: np.ndarray | None) -> None:
    """Puts the generator's state back."""
    if state is not None:
        torch = importlib.import_module("torch")
        torch.set_rng_state(torch.as_tensor(state))
