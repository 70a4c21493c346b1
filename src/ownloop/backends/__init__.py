"""The backends: the only place that knows a framework.

`current()` asks Keras once which backend is on and opens that room; no other file
chooses by it, though some name it. One room never imports another.
"""

import functools
import importlib

import keras

from ownloop.backends.contract import AbstractBackend
from ownloop.errors import BackendError

ROOMS = {"jax": "Jax", "tensorflow": "TensorFlow", "torch": "Torch"}


@functools.cache
def current() -> AbstractBackend:
    """Returns the room for the backend that Keras runs on.

    Raises:
        BackendError: Keras runs on a backend that has no room here, or that is not
            installed.
    """
    name = keras.backend.backend()
    if name not in ROOMS:
        raise BackendError(
            f"Keras runs on the backend {name!r}. ownloop runs on "
            f"{', '.join(ROOMS)}. Set the environment variable KERAS_BACKEND to one "
            "of them before Keras is imported."
        )
    try:
        room = importlib.import_module(f"ownloop.backends.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ROOMS:
            raise
        raise BackendError(
            f"Keras is set to the backend {name!r}, and there is no module "
            f"{error.name!r}. Expected the framework to be installed beside ownloop. "
            f'Run `pip install "ownloop[{name}]"`, or set KERAS_BACKEND to another one '
            f"of {', '.join(ROOMS)} before Keras is imported."
        ) from error
    backend: AbstractBackend = getattr(room, ROOMS[name])()
    return backend
