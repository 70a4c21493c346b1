"""The networks of the workloads in plain JAX: weights, and a function of them.

Each `..._weights(draw)` gives a tree of arrays, where `draw(*shape)` draws one; each
forward function takes that tree, a batch and a key for random numbers.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from contenders.workloads import (
    AUTOENCODER,
    HEADS,
    LAYERS,
    LENGTH,
    SIZES,
    WIDTH,
    Workload,
    vocabulary,
)

Draw = Callable[..., jax.Array]


def _dense(draw: Draw, inputs: int, outputs: int) -> Any:
    return draw(inputs, outputs), jnp.zeros(outputs)


def _apply(layer: Any, x: jax.Array) -> jax.Array:
    return x @ layer[0] + layer[1]


def mlp_weights(draw: Draw, sizes: tuple[int, ...] = SIZES) -> Any:
    return [_dense(draw, *pair) for pair in itertools.pairwise(sizes)]


def mlp(weights: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    for layer in weights[:-1]:
        x = jax.nn.relu(_apply(layer, x))
    return _apply(weights[-1], x)


def autoencoder_weights(draw: Draw) -> Any:
    return mlp_weights(draw, AUTOENCODER)


def autoencoder(weights: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(mlp(weights, x, key))


def cnn_weights(draw: Draw) -> Any:
    first = draw(3, 3, 1, 16), jnp.zeros(16)
    second = draw(3, 3, 16, 32), jnp.zeros(32)
    return first, second, _dense(draw, 5 * 5 * 32, 10)


def cnn(weights: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    for kernel, bias in weights[:2]:
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + bias)
        window = (1, 2, 2, 1)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
    x = x.reshape(len(x), -1)
    kept = jax.random.bernoulli(key, 0.75, x.shape)
    return _apply(weights[2], jnp.where(kept, x / 0.75, 0))


def gru_weights(draw: Draw) -> Any:
    cell = draw(28, 3 * 64), draw(64, 3 * 64), jnp.zeros(3 * 64), jnp.zeros(3 * 64)
    return cell, _dense(draw, 64, 10)


def gru(weights: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    (kernel, recurrent, bias, recurrent_bias), head = weights

    def cell(h: jax.Array, inputs: jax.Array) -> tuple[jax.Array, None]:
        z, r, n = jnp.split(inputs, 3, axis=1)
        hz, hr, hn = jnp.split(h @ recurrent + recurrent_bias, 3, axis=1)
        update, reset = jax.nn.sigmoid(z + hz), jax.nn.sigmoid(r + hr)
        new = jnp.tanh(n + reset * hn)
        return update * h + (1 - update) * new, None

    inputs = jnp.swapaxes(x @ kernel + bias, 0, 1)
    h, _ = jax.lax.scan(cell, jnp.zeros((len(x), 64)), inputs)
    return _apply(head, h)


def transformer_weights(draw: Draw) -> Any:
    def normal() -> Any:
        return jnp.ones(WIDTH), jnp.zeros(WIDTH)

    def block() -> Any:
        return {
            "attention": (normal(), _dense(draw, WIDTH, 3 * WIDTH)),
            "out": _dense(draw, WIDTH, WIDTH),
            "wide": (normal(), _dense(draw, WIDTH, 4 * WIDTH)),
            "narrow": _dense(draw, 4 * WIDTH, WIDTH),
        }

    return {
        "tokens": draw(vocabulary(), WIDTH),
        "places": draw(LENGTH, WIDTH),
        "blocks": [block() for _ in range(LAYERS)],
        "head": (normal(), _dense(draw, WIDTH, vocabulary())),
    }


def _normalize(scales: Any, x: jax.Array) -> jax.Array:
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scales[0] + scales[1]


def transformer(weights: Any, x: jax.Array, key: jax.Array) -> jax.Array:
    causal = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
    stream = weights["tokens"][x] + weights["places"]
    for block in weights["blocks"]:
        normal, layer = block["attention"]
        mixed = _apply(layer, _normalize(normal, stream))
        q, k, v = jnp.moveaxis(mixed.reshape(*x.shape, 3, HEADS, -1), 2, 0)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / (WIDTH // HEADS) ** 0.5
        shares = jax.nn.softmax(jnp.where(causal, scores, -1e9))
        mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, v).reshape(stream.shape)
        stream = stream + _apply(block["out"], mixed)
        normal, layer = block["wide"]
        wide = jax.nn.relu(_apply(layer, _normalize(normal, stream)))
        stream = stream + _apply(block["narrow"], wide)
    normal, layer = weights["head"]
    return _apply(layer, _normalize(normal, stream))


def classify(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    logs = jax.nn.log_softmax(outputs)
    picked = jnp.take_along_axis(logs, y[..., None], axis=-1)
    return -picked.mean(), (outputs.argmax(-1) == y).sum()


def weigh_ink(outputs: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return (jnp.square(outputs - y) * (1 + 4 * y)).mean(), jnp.zeros((), jnp.int32)


def build(job: Workload, draw: Draw) -> tuple[Any, Callable[..., Any]]:
    """Returns the weights of a workload, and its loss of (weights, x, y, key)."""
    name = job.network.__name__
    weights, forward = globals()[f"{name}_weights"](draw), globals()[name]
    judge = globals()[job.loss.__name__]

    def loss(weights: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        return judge(forward(weights, x, key), y)

    return weights, loss
