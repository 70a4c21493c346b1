"""What a checkpoint is: named arrays, a step, and a few words and numbers.

Owns the two values that the rest of the house hands over and gets back. It checks
nothing: what cannot be saved is refused by `Store.commit`, before it writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True, eq=False)
class Entry:
    """One array, and what it was in the run.

    Two entries are equal only if they are the same object, since arrays have no single
    answer to `==`.

    Attributes:
        array: The values, of any shape, of a dtype that safetensors knows.
        role: What it is for. A loop writes `"trainable"` and `"state"` for variables,
            `"random"` for the state of a random generator, `"logged"` for arrays that
            were logged, `"reading"` for a place in a stream, and `"batch"` for the data
            of a step that went wrong. Any other word may be used as well.
        path: The path that Keras gives the variable. It is for people and never a key,
            since Keras counts names up within a process.

    Example:
        >>> Entry(np.zeros(3), role="state").path
        ''
    """

    array: np.ndarray
    role: str
    path: str = ""


@final
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run after `step` steps.

    Attributes:
        step: How many steps have been taken, at least 0.
        tensors: The arrays by name, in an order that is kept.
        meta: JSON values under string keys: dicts, lists, strings, integers, finite
            floats, booleans and None. Floats come back with the same bits.

    Example:
        >>> kernel = Entry(np.zeros((2, 2)), role="trainable", path="dense/kernel")
        >>> Checkpoint(step=300, tensors={"model/0": kernel}, meta={"epoch": 1}).step
        300
    """

    step: int
    tensors: Mapping[str, Entry]
    meta: Mapping[str, Any]
