"""TensorFlow's errors that a step meets, by their classes and by their words."""

import re
from typing import Final

import tensorflow as tf

from ownloop.backends.complaints import ASKS_FOR_A_VALUE, behind

# Most come from Python, which finds that a symbolic tensor is no number.
_ASKING_WORDS: Final = re.compile(
    "Cannot convert a symbolic tf.Tensor"
    "|argument must be .*not '?SymbolicTensor"
    "|'SymbolicTensor' object cannot be interpreted as an integer"
    r"|SymbolicTensor'? object has no attribute '(numpy|item|tolist)'"
    r"|SymbolicTensor\.__format__"
)


def explain(error: Exception) -> str:
    """Says what to do about an error; nothing where it is none of these."""
    asking = tf.errors.OperatorNotAllowedInGraphError
    for one in behind(error):
        if isinstance(one, asking) or _ASKING_WORDS.search(str(one)):
            return ASKS_FOR_A_VALUE
    return ""
