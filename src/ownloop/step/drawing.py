"""Whether a step has drawn random numbers that are frozen into its program.

Python runs once when a step is compiled: what it draws there with NumPy or Python's
`random` is one number, and the same one in every step. Draws of Keras are no such.
"""

import random
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

GENERATORS = np.random.Generator | np.random.RandomState | random.Random
"""What may be within a step's reach, and is drawn from without Keras."""


def states_of(generators: Sequence[Any]) -> list[str]:
    """Returns in words how far NumPy's own generator and some others have come.

    Args:
        generators: Instances of `GENERATORS`, or the module `random`.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> before = states_of([generator])
        >>> _ = generator.normal()
        >>> [a == b for a, b in zip(before, states_of([generator]))]
        [True, False]
    """
    with np.printoptions(threshold=1000):  # The whole of a state.
        return [repr(np.random.get_state()), *map(_state_of, generators)]


def _state_of(generator: Any) -> str:
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, random.Random | types.ModuleType):
        return repr(generator.getstate())
    return repr(generator.get_state())
