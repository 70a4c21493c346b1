"""Whether values are finite, on JAX: a small program, or a part of a larger one."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import keras
import numpy as np

from ownloop.backends.contract import Tensor
from ownloop.backends.scope import stored_values


def finite(variables: Sequence[keras.Variable]) -> np.ndarray:
    """Returns for each variable whether all of its values are finite.

    Example:
        >>> count = keras.Variable(2, trainable=False)
        >>> finite([keras.Variable([1.0, float("nan")]), count]).tolist()
        [False, True]
    """
    values = stored_values(variables)
    return np.asarray(_are_finite(values)) if values else np.ones(0, bool)


def are_finite(values: Sequence[Tensor]) -> Tensor:
    """Returns for each value whether all of it is finite; for use in programs.

    A sum of squares takes half the time of a look at each number, since XLA has fast
    products; and where it is finite, so is all that went into it. Where one is not, be
    it that finite numbers were too large for it, each number is looked at.
    """
    likely = jnp.stack([_is_finite_by_its_squares(value) for value in values])
    return jax.lax.cond(
        jnp.all(likely),
        lambda: likely,
        lambda: jnp.stack([_is_finite(value) for value in values]),
    )


_are_finite = jax.jit(are_finite)


def _is_finite_by_its_squares(value: Tensor) -> Tensor:
    if value.size and value.dtype in (jnp.float32, jnp.float64):
        return jnp.isfinite(jnp.vdot(value, value))
    return _is_finite(value)


def _is_finite(value: Tensor) -> Tensor:
    if value.size == 0 or not jnp.issubdtype(value.dtype, jnp.inexact):
        return jnp.array(True)
    # The largest size is NaN where a value is, and XLA finds it in half the time that
    # it takes for "all are finite".
    return jnp.isfinite(jnp.max(jnp.abs(value)))
