"""What the laws share: reading variables as they are, and small data."""

import keras
import numpy as np
import pytest


def _host(value):
    value = value.value if isinstance(value, keras.Variable) else value
    value = value.detach() if hasattr(value, "detach") else value
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


@pytest.fixture(scope="session")
def host():
    """Return what makes a NumPy copy of a variable or tensor, of any backend."""
    return _host


@pytest.fixture(scope="session")
def bits():
    """Return what makes bytes of variables, equal where every bit is."""
    return lambda variables: [_host(variable).tobytes() for variable in variables]
