"""JAX: a step becomes one XLA program over carried state."""

from ownloop.backends.jax.room import Jax as Jax
