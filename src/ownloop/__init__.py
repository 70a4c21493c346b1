"""Own your training loop: one plain step, compiled, on JAX, TensorFlow or PyTorch.

This file is the door: the names below are the whole public surface, each with the file
behind it. It imports nothing until a name is used. That is what lets the
command line choose the Keras backend before anything has imported Keras.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Batches": "ownloop.data",
    "GradientTape": "ownloop.tape",
    "History": "ownloop.history",
    "Keep": "ownloop.checkpoints",
    "Loop": "ownloop.loop",
    "cond": "ownloop.step",
    "every": "ownloop.clock",
    "last": "ownloop.step",
    "minutes": "ownloop.clock",
    "value_and_grad": "ownloop.tape",
}
_MODULES = ("datasets", "errors", "events", "guards", "observers")

__all__ = ["__version__", *sorted(_HOMES), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = import_module(f"ownloop.{name}")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'ownloop' has no attribute {name!r}")
    # Found once, found for good: the next look-up does not come here.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
