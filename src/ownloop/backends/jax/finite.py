"""Whether variables are finite, on JAX: one small program for all of them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import keras
import numpy as np

from ownloop.backends.contract import Tensor


def finite(variables: Sequence[keras.Variable]) -> np.ndarray:
    """Returns for each variable whether all of its values are finite.

    Example:
        >>> count = keras.Variable(2, trainable=False)
        >>> finite([keras.Variable([1.0, float("nan")]), count]).tolist()
        [False, True]
    """
    values = [variable.value for variable in variables]
    flags = np.ones(len(values), bool)
    places = [i for i, value in enumerate(values) if _can_be_infinite(value)]
    if places:
        flags[places] = np.asarray(_finite([values[i] for i in places]))
    return flags


def _can_be_infinite(value: Tensor) -> bool:
    return value.size > 0 and jnp.issubdtype(value.dtype, jnp.inexact)


@jax.jit
def _finite(values: Sequence[Tensor]) -> Tensor:
    # The largest size is NaN where a value is, and XLA finds it in half the time that
    # it takes for "all are finite".
    return jnp.stack([jnp.isfinite(jnp.max(jnp.abs(value))) for value in values])
