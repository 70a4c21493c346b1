"""A hand-written JAX epoch: one jitted lax.scan over all full batches, Adam by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from contenders.shared import BATCH, RATE, SIZES, digits, serve

x, y = map(jnp.asarray, digits())
generator = np.random.default_rng(0)


def start():  # type: ignore[no-untyped-def]
    """Draws the weights, and zeros for Adam."""
    weights = []
    for inputs, outputs in itertools.pairwise(SIZES):
        limit = np.sqrt(6 / (inputs + outputs))
        kernel = generator.uniform(-limit, limit, (inputs, outputs)).astype("float32")
        weights.append((jnp.asarray(kernel), jnp.zeros(outputs)))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return weights, zeros, zeros, jnp.zeros((), jnp.int32)


def loss_fn(weights, images, labels):  # type: ignore[no-untyped-def]
    hidden = images
    for kernel, bias in weights[:-1]:
        hidden = jax.nn.relu(hidden @ kernel + bias)
    logits = hidden @ weights[-1][0] + weights[-1][1]
    logs = jax.nn.log_softmax(logits)
    picked = jnp.take_along_axis(logs, labels[:, None], axis=1)
    return -picked.mean(), (logits.argmax(1) == labels).sum()


def step(state, rows):  # type: ignore[no-untyped-def]
    weights, first, second, count = state
    grad = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, correct), gradients = grad(weights, x[rows], y[rows])
    count = count + 1
    time = count.astype(jnp.float32)
    rate = RATE * jnp.sqrt(1 - 0.999**time) / (1 - 0.9**time)
    first = jax.tree.map(lambda m, g: m + (g - m) * 0.1, first, gradients)
    second = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, second, gradients)
    weights = jax.tree.map(
        lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second
    )
    return (weights, first, second, count), (loss, correct)


@jax.jit
def run(state, rows):  # type: ignore[no-untyped-def]
    return jax.lax.scan(step, state, rows)


state = start()


def epoch() -> None:
    global state
    order = generator.permutation(len(x)).astype("int32")
    full = len(x) // BATCH * BATCH
    state, (losses, correct) = run(state, jnp.asarray(order[:full].reshape(-1, BATCH)))
    state, (last, more) = run(state, jnp.asarray(order[None, full:]))
    np.asarray(losses), int(correct.sum()) + int(more.sum()), float(last[0])


serve(epoch)
