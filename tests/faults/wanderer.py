"""The other job that is killed: the ways that code may go through a loop, in 44 steps.

`job` has all that the state of a run can be made of. Here it is the code that is hard
to come back to: passes within passes, side by side and over shared data; passes and
rounds that are left; errors that are caught; another optimizer and another model in the
same step; layers that are frozen on the way; and lists that are changed in place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import keras
import numpy as np

import ownloop as ol
from faults.digests import Digests, end_digests
from faults.job import SAVES, Listener, Stream
from faults.seeds import seed
from ownloop.errors import NonFiniteError
from ownloop.events import Observer

EXAMPLES = 24
BATCH = 4


class Refused(Exception):
    """What the script raises, and catches."""


@final
class Shuffled:
    """Batches that come in another order each time, by NumPy's generator."""

    def __init__(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = np.random.permutation(len(self.batches))
        return (self.batches[i] for i in order)


@final
class Diary:
    """An object that gives its own lists away, and goes on writing in them."""

    def __init__(self) -> None:
        self.pages: list[list[int]] = []

    def write(self, step: int) -> None:
        self.pages.append([step])
        self.pages[0].append(step)

    def get_state(self) -> list[list[int]]:
        return self.pages

    def set_state(self, state: list[list[int]]) -> None:
        self.pages = state


def play(
    folder: Path,
    *,
    save: str = "steps",
    resume: bool | str = True,
    compile: bool = True,
    observers: Sequence[Observer] = (),
) -> Digests:
    """Run it, or what is left of it, and give digests of all that it gave.

    Args:
        folder: the run's.
        save: a key of `SAVES`.
        resume: as `Loop` takes it.
        compile: as `Loop` takes it.
        observers: are told what happens, and are no part of the job.
    """
    seed(3)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    shared = ol.Batches((x, y), batch_size=BATCH, shuffle=True, seed=1)
    few = ol.Batches((x[:8], y[:8]), batch_size=BATCH, shuffle=True, seed=2)
    val = ol.Batches((x[8:16], y[8:16]), batch_size=BATCH)
    pairs = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, 20, BATCH)]
    stream = Shuffled(pairs)
    spoilt = Stream([pairs[3], (pairs[4][0] * np.nan, pairs[4][1]), pairs[0]])

    first, second = _network(), _network()
    early, late = keras.optimizers.Adam(0.05), keras.optimizers.Adam(0.02)
    other = keras.optimizers.SGD(0.05, momentum=0.9)
    # No object owns what follows, nor the second model and the later optimizers.
    seen = keras.metrics.Mean(name="seen")
    jitter = keras.random.SeedGenerator(11, name="jitter")
    model, optimizer = first, early
    kernel = first.layers[0].kernel

    def loss_of(x, y):
        x = x + 0.01 * keras.random.normal(keras.ops.shape(x), seed=jitter)
        loss = keras.ops.mean(keras.ops.square(model(x) - y))
        seen.update_state(loss)
        return loss

    def train_step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_of(x, y)
        weights = model.trainable_variables
        grads = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(grads, weights, strict=True))
        return {"loss": loss, "seen": seen}

    def val_step(x, y):
        return {"loss": loss_of(x, y), "seen": seen}

    def refuse(x, y):
        raise Refused

    diary, listener = Diary(), Listener()
    loop = ol.Loop(
        compile=compile,
        observers=[listener, *observers],
        folder=folder,
        resume=resume,
        save=SAVES[save],
        keep=2,
        model=first,
        optimizer=early,
        diary=diary,
    )

    # Passes in the body of a pass, over the same data; passes and a round are left.
    for epoch in loop.epochs(9):
        loop.print("Epoch", epoch.number)
        diary.write(loop.step)
        looks = loop.memory.setdefault("looks", {}).setdefault(f"{epoch.number}", [])
        model, optimizer = first, early if epoch.number == 1 else late
        if epoch.number == 2:
            first.layers[0].trainable = False  # From now on.
        for chunk in epoch.train(train_step, shared, steps=3, every=2, name="outer"):
            looks.append([chunk.step])
            looks[0].append(float(chunk.last.loss))
            for inner in epoch.train(train_step, shared, steps=1, name="inner"):
                within = epoch.validate(val_step, val, name="within")
                loop.print(chunk.mean, inner.last, within)
                diary.write(inner.step)
        if epoch.number == 2:
            continue
        for chunk in epoch.train(train_step, few, steps=4, every=1, name="left"):
            looks[0].append(chunk.batch)
            break
        model, optimizer = second, other
        for chunk in epoch.train(train_step, stream, steps=4, every=1):
            loop.print("aside", chunk.last, looks)
            if epoch.number == 3:
                break
        if epoch.number == 3:
            break
    model = first
    between = loop.validate(val_step, val, name="between")
    model = second
    loop.print("between", between, loop.validate(val_step, val, name="between"))
    diary.pages[0].append(len(loop.memory["looks"]))
    kernel.assign(kernel * 0.9)

    # Data of the first round under another name; passes side by side; a pass whose
    # chunks nobody uses; a round left at a head.
    for epoch in loop.epochs():
        if epoch.number >= 6:
            break
        model, optimizer = first, late
        for later in epoch.train(train_step, few, steps=1, name="later"):
            loop.print("later", later.last)
        loop.print("Epoch", epoch.number, between.loss, loop.stopped)
        one = epoch.train(train_step, shared, steps=2, every=1, name="outer")
        two = epoch.train(train_step, shared, steps=2, every=1, name="inner")
        for left, right in zip(one, two, strict=True):
            beside = epoch.validate(val_step, val, name="beside")
            loop.print(left.last, right.last, beside)
        for _ in epoch.train(train_step, few, every=1):
            pass
    kernel.assign(kernel * 0.9)

    # Errors of a step and of a body, after which the epoch goes on.
    for epoch in loop.epochs(loop.epoch + 2):
        loop.save("page")
        diary.write(loop.step)
        model, optimizer = first, early
        try:
            epoch.train(train_step, spoilt, every=3, name="spoilt").run()
        except NonFiniteError as error:
            loop.print(error.evidence.where)
            diary.write(0)
        tried = epoch.train(train_step, shared, steps=4, every=1, name="outer")
        try:
            for chunk in tried:
                loop.memory["tried"] = [chunk.step]
                if chunk.batch == 2:
                    raise Refused
        except Refused:
            loop.memory["tried"].append(loop.step)
        try:
            epoch.train(refuse, shared, steps=2, name="refused").run()
        except Refused:
            loop.print("refused after", loop.memory["tried"])
        again = epoch.train(train_step, shared, steps=1, name="again").run()
        loop.print(again.loss, diary.pages)
        if epoch.number == 7:
            loop.load("page")
    # One only: what is saved before it is the same, wherever the clock says when.
    model = second
    loop.print("test", loop.validate(val_step, val, name="test"))

    variables = [*first.variables, early.iterations, *second.variables, jitter.state]
    return end_digests(
        loop,
        folder,
        variables=[*variables, *seen.variables],
        listener=listener,
        own={"diary": diary.pages},
    )


def _network() -> keras.Model:
    layers = keras.layers
    return keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.Dense(1)])
