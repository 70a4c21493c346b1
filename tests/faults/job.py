"""The job that is killed: all that the state of a run can be made of, in 44 steps.

It is what a user might write, only smaller. Nothing here knows that it will be killed:
`moments` does that from outside. `changes` names what another script does otherwise.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, final

import keras
import numpy as np

import ownloop as ol
from faults.digests import Digests, array_digest, end_digests
from faults.networks import NETWORKS
from faults.seeds import seed
from ownloop.clock import minutes
from ownloop.events import ChunkDone, Notice, Observer

EXAMPLES = 28
BATCH = 8
SAVES = {"steps": 3, "always": ol.every(minutes(1e-6)), "epochs": None}


@final
class Curriculum:
    """An object with a state of its own kind."""

    def __init__(self) -> None:
        self.level = 0

    def get_state(self) -> dict[str, int]:
        return {"level": self.level}

    def set_state(self, state: dict[str, int]) -> None:
        self.level = state["level"]


@final
class Listener:
    """An observer with a state: how many looks there were. It hears notices, too."""

    def __init__(self) -> None:
        self.looks = 0
        self.notices: list[str] = []

    def __call__(self, event: Any) -> None:
        if isinstance(event, ChunkDone):
            self.looks += event.looks
        if isinstance(event, Notice):
            self.notices.append(event.text)

    def get_state(self) -> dict[str, int]:
        return {"looks": self.looks}

    def set_state(self, state: dict[str, int]) -> None:
        self.looks = state["looks"]


@final
@dataclass(frozen=True)
class Stream:
    """Batches that can be read again, of which nothing but that is known."""

    batches: list[tuple[np.ndarray, np.ndarray]]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return iter(self.batches)


def play(
    folder: Path,
    *,
    network: str = "dense",
    save: str = "steps",
    resume: bool | str = True,
    compile: bool = True,
    changes: Collection[str] = (),
    observers: Sequence[Observer] = (),
) -> Digests:
    """Run the whole job, or what is left of it, and give digests of all that it gave.

    Args:
        folder: the run's.
        network: a key of `NETWORKS`.
        save: a key of `SAVES`.
        resume: as `Loop` takes it.
        compile: as `Loop` takes it.
        changes: in what the script differs from the one that began the run.
        observers: are told what happens, and are no part of the job.
    """
    seed(3)
    if "dtype policy" in changes:
        keras.config.set_dtype_policy("mixed_bfloat16")
    if "model built second" in changes:
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    generator = np.random.default_rng(0)
    shape = NETWORKS[network].shape
    x = generator.normal(size=(EXAMPLES, *shape)).astype("float32")
    y = (x.reshape(EXAMPLES, -1).sum(1) > 0).astype("int32")
    if "data" in changes:
        x = x + 1
    size = BATCH * 2 if "batch size" in changes else BATCH
    noise = 0.02 if "number" in changes else 0.01
    train = ol.Batches((x, y), batch_size=size, shuffle=True, seed=1)
    val = ol.Batches((x[:16], y[:16]), batch_size=BATCH)
    stream = Stream([(x[i : i + 8] + i, y[i : i + 8]) for i in range(0, 20, 4)])
    # A batch that nothing can be learned from is skipped, and counted.
    stream.batches[3][0][0, 0] = np.nan

    model = NETWORKS[network].build(changes)
    optimizer = _optimizer(changes)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    curriculum, listener = Curriculum(), Listener()
    kernel = model.layers[1].kernel
    # No object owns what follows: tracing finds it.
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    begin = np.array(keras.ops.convert_to_numpy(kernel.value))
    teacher = keras.Variable(begin, trainable=False, name="teacher")
    jitter = keras.random.SeedGenerator(11, name="jitter")

    def train_step(x, y):
        x = x + noise * keras.random.normal(keras.ops.shape(x), seed=jitter)
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        teacher.assign(0.9 * teacher + 0.1 * kernel)
        accuracy.update_state(y, logits)
        return {"loss": loss, "accuracy": accuracy}

    def val_step(x, y):
        # With noise and dropout: a validation leaves no trace of its draws.
        x = x + noise * keras.random.normal(keras.ops.shape(x), seed=jitter)
        logits = model(x, training=True)
        accuracy.update_state(y, logits)
        distance = keras.ops.mean(keras.ops.square(teacher - kernel))
        loss = loss_fn(y, logits)
        return {"loss": loss, "accuracy": accuracy, "distance": distance}

    def nudge():
        drawn = random.random() + random.gauss() + np.random.normal() + _framework()
        kernel.assign(kernel + 0.001 * drawn)

    if "code" in changes:

        def train_step(x, y):
            x = x + noise * keras.random.normal(keras.ops.shape(x), seed=jitter)
            with ol.GradientTape() as tape:
                logits = model(x, training=True)
                loss = 2.0 * loss_fn(y, logits)
            grads = tape.gradient(loss, model.trainable_variables)
            pairs = zip(grads, model.trainable_variables, strict=True)
            optimizer.apply_gradients(pairs)
            teacher.assign(0.9 * teacher + 0.1 * kernel)
            accuracy.update_state(y, logits)
            return {"loss": loss, "accuracy": accuracy}

    if "trainable" in changes:
        model.layers[1].trainable = False
    if not compile:
        # Compiled, its slots are made by the first step, and wait for their values.
        optimizer.build(model.trainable_variables)

    loop = ol.Loop(
        compile=compile,
        observers=[listener, *observers],
        folder=folder,
        resume=resume,
        save=SAVES[save],
        keep=2,
        nonfinite="skip",
        model=model,
        optimizer=optimizer,
        curriculum=curriculum,
    )
    for epoch in loop.epochs(3):
        loop.print("Epoch", epoch.number)
        kernel.assign(kernel * 0.9)
        nudge()
        loop.memory["heads"] = loop.memory.get("heads", 0) + 1
        curriculum.level += 10
        before = epoch.validate(val_step, val, name="before")
        for chunk in epoch.train(train_step, train, every=ol.every(3, start=1)):
            losses = [value.hex() for value in chunk.steps.loss.tolist()]
            loop.print(chunk.step, losses, chunk.mean, chunk.last.accuracy)
            loop.memory["looks"] = loop.memory.get("looks", 0) + 1
            curriculum.level += 1
            nudge()
            if chunk.batch == 1:
                middle = epoch.validate(val_step, val, name="middle")
                loop.print("middle", middle.loss, curriculum.level)
                nudge()
        streamed = epoch.train(train_step, stream, steps=3, name="stream").run()
        if loop.history.highest("before_loss").age >= 1:
            loop.stop("the first one was the worst")
        after = epoch.validate(val_step, val)
        loop.print(before, streamed, after, loop.memory["looks"])
        nudge()
        if epoch.number == 1:
            loop.save("first")
    ending = loop.stopped
    between = loop.validate(val_step, val, name="between")
    kernel.assign(kernel * 0.99)
    nudge()
    for epoch in loop.epochs(4):
        for chunk in epoch.train(train_step, train):
            loop.print("Epoch", epoch.number, ending, between.loss, chunk.last.loss)
        streamed = epoch.train(train_step, stream, steps=4, name="stream").run()
        loop.print(streamed.loss, loop.epoch)
        if epoch.number == 4:
            nudge()
            given = epoch.step(train_step, x[:8], y[:8], name="given")
            given = epoch.step(train_step, x[8:16], y[8:16], name="given")
            loop.print("given", given.loss)
    # What a script remembers of a state that is gone when it is run again.
    loop.memory["last"] = [array_digest(v) for v in model.variables]
    loop.load("first")
    for epoch in loop.epochs(5):
        loop.save("head")
        mean = epoch.train(train_step, stream, steps=4, name="stream").run()
        loop.print("Epoch", epoch.number, mean.loss)
        if epoch.number == 5:
            loop.load("head")
        nudge()
    test = loop.validate(val_step, val, name="test")
    loop.print("test", test.loss, loop.stopped)

    # Where nothing was trained here the optimizer is not built again; the checkpoint
    # says what its variables would get.
    variables = [*model.variables, optimizer.iterations]
    variables += [*accuracy.variables, teacher, jitter.state]
    own = {"curriculum": curriculum.level}
    return end_digests(
        loop, Path(folder), variables=variables, listener=listener, own=own
    )


def _optimizer(changes: Collection[str]) -> keras.optimizers.Optimizer:
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 60)
    if "optimizer" in changes:
        return keras.optimizers.SGD(rate, momentum=0.9)
    decay = 0.1 if "decay" in changes else 0.004
    return keras.optimizers.AdamW(
        rate,
        weight_decay=decay,
        use_ema=True,
        ema_momentum=0.9,
        ema_overwrite_frequency=5,
    )


def _framework() -> float:
    """Draw from the framework's own generator, where it has one."""
    if keras.backend.backend() != "torch":
        return 0.0
    return float(import_module("torch").rand(()))
