"""A hand-written JAX epoch, Adam by hand, data on the device.

LOOP is "scan" (one jitted lax.scan over all full batches), "step" (a jitted step, which
donates its state, called for each batch) or "look" (the same, and each loss is read).
"""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np

from contenders.in_jax import build
from contenders.shared import asked_for, serve_scans
from contenders.workloads import RATE

job = asked_for()
x, y = map(jnp.asarray, job.data())
generator = np.random.default_rng(0)


def draw(*shape: int) -> jax.Array:
    """Draws a kernel as Keras does, uniform with the limit of Glorot."""
    receptive = int(np.prod(shape[:-2]))
    limit = np.sqrt(6 / ((shape[-2] + shape[-1]) * receptive))
    return jnp.asarray(generator.uniform(-limit, limit, shape).astype("float32"))


weights, loss_fn = build(job, draw)


def start():  # type: ignore[no-untyped-def]
    """Returns the weights, zeros for Adam, a count and a key."""
    zeros = functools.partial(jax.tree.map, jnp.zeros_like, weights)
    return weights, zeros(), zeros(), jnp.zeros((), jnp.int32), jax.random.key(0)


def step(state, rows):  # type: ignore[no-untyped-def]
    weights, first, second, count, key = state
    key, now = jax.random.split(key)
    grad = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, correct), gradients = grad(weights, x[rows], y[rows], now)
    count = count + 1
    time = count.astype(jnp.float32)
    rate = RATE * jnp.sqrt(1 - 0.999**time) / (1 - 0.9**time)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradients)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradients)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second
    )
    return (weights, first, second, count, key), (loss, correct)


how = os.environ.get("LOOP", "scan")
if how == "scan":

    @jax.jit
    def run(state, rows):  # type: ignore[no-untyped-def]
        return jax.lax.scan(step, state, rows)
else:
    one = jax.jit(step, donate_argnums=0)

    def run(state, rows):  # type: ignore[no-untyped-def]
        kept = []
        for batch in rows:
            state, values = one(state, batch)
            if how == "look":
                float(values[0])
            kept.append(values)
        return state, jax.tree.map(lambda *values: jnp.stack(values), *kept)


serve_scans(job, len(x), run, start())
