"""The tape next to `value_and_grad`: seconds for the same steps, on JAX.

    make bench-tape
    make bench-tape ARGS="--rounds 25 --only attention"

Both steps do the same to the same network: forward, loss, gradients, Adam. One takes
its gradients from a `GradientTape` in the step's body, the other from `value_and_grad`,
which is `jax.value_and_grad` with the assignments carried out. They take turns in one
process, round after round, another one first each time. Printed are the medians and the
median ratio, round by round, with its quartiles.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import ownloop as ol

layers = keras.layers
BATCH = 32


def mlp() -> keras.Model:
    hidden = [layers.Dense(units, activation="relu") for units in (512, 256, 128)]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])


def cnn() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def gru() -> keras.Model:
    return keras.Sequential([keras.Input((28, 28)), layers.GRU(64), layers.Dense(10)])


def attention() -> keras.Model:
    tokens = keras.Input((64, 64))
    mixed = layers.MultiHeadAttention(4, 16)(tokens, tokens)
    mixed = layers.LayerNormalization()(tokens + mixed)
    wide = layers.Dense(64)(layers.Dense(256, activation="gelu")(mixed))
    mixed = layers.LayerNormalization()(mixed + wide)
    return keras.Model(tokens, layers.Dense(10)(layers.GlobalAveragePooling1D()(mixed)))


NETWORKS: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "mlp": (mlp, 200),
    "cnn": (cnn, 60),
    "gru": (gru, 100),
    "attention": (attention, 60),
}


def steps_of(network: keras.Model) -> dict[str, Callable[..., Any]]:
    """Returns the two steps over one network, each with an optimizer of its own."""
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = network.trainable_variables
    by_tape, by_function = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)

    def loss_of(x: Any, y: Any) -> Any:
        return loss_fn(y, network(x, training=True))

    def tape(x: Any, y: Any) -> Any:
        with ol.GradientTape() as tape:
            loss = loss_of(x, y)
        by_tape.apply(tape.gradient(loss, variables), variables)
        return loss

    def function(x: Any, y: Any) -> Any:
        loss, gradients = ol.value_and_grad(loss_of, variables)(x, y)
        by_function.apply(gradients, variables)
        return loss

    return {"tape": tape, "value_and_grad": function}


def measure(name: str, rounds: int) -> None:
    """Prints the line of one network."""
    make, batches = NETWORKS[name]
    network = make()
    random = np.random.default_rng(0)
    x = random.normal(size=(batches * BATCH, *network.input_shape[1:]))
    y = random.integers(0, 10, size=len(x))
    data = ol.Batches((x.astype("float32"), y.astype("int32")), batch_size=BATCH)
    loop = ol.Loop(network=network, observers=[])
    epochs = loop.epochs()

    def seconds(step: Callable[..., Any]) -> float:
        begun = time.perf_counter()
        next(epochs).train(step, data).run()
        return time.perf_counter() - begun

    steps = steps_of(network)
    for step in steps.values():
        seconds(step)  # compiles
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds):
        for key in sorted(steps, reverse=bool(turn % 2)):
            taken[key].append(seconds(steps[key]))
    ratios = [
        a / b for a, b in zip(taken["tape"], taken["value_and_grad"], strict=True)
    ]
    low, middle, high = statistics.quantiles(ratios, n=4)
    tape, function = (
        statistics.median(taken[key]) * 1e3 / batches
        for key in ("tape", "value_and_grad")
    )
    print(
        f"{name:10} tape {tape:7.3f} ms a step   value_and_grad {function:7.3f} ms   "
        f"ratio {middle:.3f} ({low:.3f} to {high:.3f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    print(f"{keras.backend.backend()}, {options.rounds} rounds, batches of {BATCH}")
    for name in options.only:
        measure(name, options.rounds)


if __name__ == "__main__":
    main()
