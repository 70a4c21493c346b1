"""`ownloop mnist`: the handwritten digits, trained by a loop that one can read.

The job is written with the public names only, as a user would write it. It is imported
after the backend is chosen, and takes for granted what `preflight` has checked.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import ownloop as ol
from ownloop.cli.commands import Job
from ownloop.cli.job_folder import (
    SETTINGS,
    result_in_words,
    settings_of,
    write_history,
)
from ownloop.observers import Console, Progress

# Of the 60,000 examples, 50,000 are for training; any subset is split alike.
_TRAINING_SHARE = 5 / 6


def train(job: Job) -> None:
    """Trains, prints what a textbook's loop prints, and writes the history.

    What is printed is kept in the folder's log as well, except for times, by which two
    equal runs would differ.
    """
    model = build(len(job.classes), job.seed)
    optimizer = keras.optimizers.Adam(job.learning_rate)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    def train_step(x: Any, y: Any) -> dict[str, Any]:
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        accuracy.update_state(y, logits)
        return {"loss": loss, "accuracy": accuracy}

    def val_step(x: Any, y: Any) -> dict[str, Any]:
        logits = model(x, training=False)
        accuracy.update_state(y, logits)
        return {"loss": loss_fn(y, logits), "accuracy": accuracy}

    loop = ol.Loop(
        model=model,
        optimizer=optimizer,
        observers=observers(),
        folder=job.out,
        # Where nothing was saved yet the run begins anew; others were refused before.
        resume=job.resume or True,
    )
    loop.memory[SETTINGS] = settings_of(job)
    training, validation = load(job, say=loop.print)
    seconds = []
    for epoch in loop.epochs(job.epochs):
        begin = time.perf_counter()
        loop.print("Epoch", epoch.number)
        looks = ol.every(job.every, start=1)
        for chunk in epoch.train(train_step, training, every=looks):
            index = chunk.batch - 1  # of the batch just done, counted from 0
            if index % job.every == 0:  # the pass's last chunk may end elsewhere
                loop.print(
                    f"  batch {index}: loss {chunk.last.loss:.4f}, "
                    f"accuracy {chunk.mean.accuracy:.4f}"
                )
        result = epoch.validate(val_step, validation)
        loop.print(f"  validation accuracy {result.accuracy:.4f}")
        seconds.append(time.perf_counter() - begin)

    write_history(loop.history, job.out)
    epochs = "1 epoch" if job.epochs == 1 else f"{job.epochs} epochs"
    print(
        f"{epochs}, {statistics.median(seconds):.2f} s per epoch (median); "
        f"{result_in_words(loop.history, job.out)}"
    )


def load(
    job: Job, *, say: Callable[[str], None] = print
) -> tuple[ol.Batches, ol.Batches]:
    """Reads the digits and splits them into batches for training and for validation."""
    (x, y), _ = ol.datasets.mnist()
    say(f"data: shape {x.shape}, minimum {x.min()}, maximum {x.max()}")
    chosen = np.flatnonzero(np.isin(y, job.classes))
    order = chosen[np.random.default_rng(job.seed).permutation(len(chosen))]
    pixels = x.reshape(len(x), -1)[order]
    x = np.divide(pixels, np.float32(255), dtype="float32")
    y = relabel(y[order], job.classes)
    split = round(len(x) * _TRAINING_SHARE)
    return (
        ol.Batches((x[:split], y[:split]), batch_size=job.batch_size),
        ol.Batches((x[split:], y[split:]), batch_size=job.batch_size),
    )


def relabel(digits: np.ndarray, classes: tuple[int, ...]) -> np.ndarray:
    """Turns digits into the numbers of the outputs: the first class becomes 0.

    Example:
        >>> relabel(np.array([7, 3, 7]), (3, 7))
        array([1, 0, 1])
    """
    outputs = np.zeros(10, dtype="int64")
    outputs[list(classes)] = np.arange(len(classes))
    return outputs[digits]


def build(outputs: int, seed: int) -> keras.Model:
    """Builds the textbook's network: 784 - 512 - 256 - 128 - one logit per class.

    Each layer has a seed of its own, and not `keras.utils.set_random_seed`, which
    imports TensorFlow wherever that is installed.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(4) >> 1)

    def dense(units: int, activation: str | None = None) -> keras.layers.Dense:
        draw = keras.initializers.GlorotUniform(seed=int(next(seeds)))
        return keras.layers.Dense(units, activation, kernel_initializer=draw)

    inputs = keras.Input((784,))
    hidden = inputs
    for units in (512, 256, 128):
        hidden = dense(units, "relu")(hidden)
    return keras.Model(inputs, dense(outputs)(hidden))


def observers() -> list[Any]:
    """Returns what shows the run: a bar where one can be drawn, else lines alone."""
    return [Console(), Progress()] if sys.stderr.isatty() else [Console()]
