"""JAX's errors that a step meets, by their classes and, where it has none, by words."""

import re
from typing import Final

from jax import errors

from ownloop.backends.complaints import ASKS_FOR_A_VALUE, behind

_ASKING: Final = (
    errors.ConcretizationTypeError,
    errors.TracerArrayConversionError,
    errors.TracerIntegerConversionError,
    errors.NonConcreteBooleanIndexError,
)
_ASKING_WORDS: Final = re.compile(
    r"Tracer'? (object )?has no attribute '?(numpy|item|tolist)\b|Tracer\.__format__"
)
_UNSEEDED: Final = "[JAX RNG]"


def explain(error: Exception) -> str:
    """Says what to do about an error; nothing where it is none of these."""
    for one in behind(error):
        if isinstance(one, _ASKING) or _ASKING_WORDS.search(str(one)):
            return ASKS_FOR_A_VALUE
        if isinstance(one, ValueError) and str(one).startswith(_UNSEEDED):
            return (
                "A draw needs a seed that moves on from step to step: make a "
                "generator, `noise = keras.random.SeedGenerator(1)`, draw with "
                "`seed=noise`, and let the loop own it, `Loop(..., noise=noise)`."
            )
    return ""
