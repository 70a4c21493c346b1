"""Whether variables are finite, on TensorFlow: one small graph for all of them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ownloop.backends.contract import Tensor

_CURT_HEALTH = 2
"""Makes the summary two numbers: an identity, and 1 if a value is not finite."""


def finite(variables: Sequence[keras.Variable]) -> np.ndarray:
    """Returns for each variable whether all of its values are finite.

    Example:
        >>> count = keras.Variable(2, trainable=False)
        >>> finite([keras.Variable([1.0, float("nan")]), count]).tolist()
        [False, True]
    """
    values = [tf.convert_to_tensor(variable.value) for variable in variables]
    flags = np.ones(len(values), bool)
    places = [i for i, value in enumerate(values) if _can_be_infinite(value)]
    if places:
        values = [values[i] for i in places]
        program = _program(tuple((tuple(v.shape), v.dtype) for v in values))
        flags[places] = program(*values).numpy()
    return flags


def _can_be_infinite(value: Tensor) -> bool:
    return value.dtype.is_floating or value.dtype.is_complex


# One graph for each set of shapes: a `tf.function` that all shared would be traced
# anew for each set as well, and would warn of that.
@functools.lru_cache(maxsize=64)
def _program(specs: tuple[tuple[tuple[int, ...], tf.DType], ...]) -> Callable[..., Any]:
    def flags(*values: Tensor) -> Tensor:
        return tf.stack([_is_finite(value) for value in values])

    signature = [tf.TensorSpec(shape, dtype) for shape, dtype in specs]
    return tf.function(flags, autograph=False).get_concrete_function(*signature)


def _is_finite(value: Tensor) -> Tensor:
    if value.dtype.is_complex:
        value = tf.stack([tf.math.real(value), tf.math.imag(value)])
    if value.dtype not in (tf.float16, tf.float32, tf.float64):
        value = tf.cast(value, tf.float32)
    # One look at each value and no array between, in half the time that
    # `reduce_all(is_finite(value))` takes.
    # https://www.tensorflow.org/api_docs/python/tf/raw_ops/DebugNumericSummaryV2
    summary = tf.raw_ops.DebugNumericSummaryV2(
        input=value, tensor_debug_mode=_CURT_HEALTH, output_dtype=tf.float32
    )
    return tf.equal(summary[1], 0.0)
