"""What the guards' tests share."""

import keras
import numpy as np
import pytest


@pytest.fixture(scope="session")
def host():
    """Return what makes a NumPy copy of a variable, of any backend."""

    def copy(variable: keras.Variable) -> np.ndarray:
        value = variable.value
        value = value.detach() if hasattr(value, "detach") else value
        return np.array(value.numpy() if hasattr(value, "numpy") else value)

    return copy
