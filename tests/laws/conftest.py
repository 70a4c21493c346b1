"""What the laws share: reading variables as they are, and small data."""

from pathlib import Path

import keras
import numpy as np
import pytest

_OLD_PROTOCOL = "ignore:__array__ implementation doesn't accept a copy keyword"


def pytest_collection_modifyitems(items):
    """Let Keras' `get_weights` and `numpy` be used, which NumPy has a word about."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(_OLD_PROTOCOL))


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
