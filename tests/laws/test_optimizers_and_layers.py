"""Optimizers and layers: compiled or eager and why, and equal to eager in either case.

Run as a command, this module prints the table for the backend in KERAS_BACKEND:

    KERAS_BACKEND=tensorflow python tests/laws/test_optimizers_and_layers.py
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.backends.contract import FUSED, STEPWISE

layers = keras.layers
STEPS, BATCH, CLASSES = 12, 8, 4


def adam(**options: Any) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(1e-2, **options)


OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "Adam": adam,
    "AdamW": lambda: keras.optimizers.AdamW(1e-2),
    "SGD with momentum": lambda: keras.optimizers.SGD(1e-2, momentum=0.9),
    "Adam, exponential decay": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.9)
    ),
    "Adam, use_ema": lambda: adam(use_ema=True, ema_overwrite_frequency=3),
    "Adam, gradient_accumulation_steps=4": lambda: adam(gradient_accumulation_steps=4),
}


def classifier(shape: tuple[int, ...], *middle: Any) -> keras.Model:
    head = [layers.Flatten(), layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(shape), *middle, *head])


def attention() -> keras.Model:
    inputs = keras.Input((5, 6))
    hidden = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(hidden)))


IMAGE, SEQUENCE = (6, 6, 2), (5, 6)

MODELS: dict[str, Callable[[], keras.Model]] = {
    "Dense": lambda: classifier((12,), layers.Dense(16, activation="relu")),
    "Conv2D": lambda: classifier(IMAGE, layers.Conv2D(4, 3, activation="relu")),
    "BatchNormalization": lambda: classifier(
        (12,), layers.Dense(8), layers.BatchNormalization()
    ),
    "Dropout": lambda: classifier((12,), layers.Dense(8), layers.Dropout(0.5)),
    "Dropout, seeded": lambda: classifier(
        (12,), layers.Dense(8), layers.Dropout(0.5, seed=1)
    ),
    "GaussianNoise": lambda: classifier((12,), layers.GaussianNoise(0.5, seed=1)),
    "RandomFlip": lambda: classifier(IMAGE, layers.RandomFlip(seed=1)),
    "GRU": lambda: classifier(SEQUENCE, layers.GRU(4)),
    "MultiHeadAttention": attention,
    "Embedding": lambda: classifier((5,), layers.Embedding(10, 3)),
}

RANDOM = ("Dropout", "Dropout, seeded", "GaussianNoise", "RandomFlip")

# Each layer with the next optimizer.
CASES = list(zip(MODELS, itertools.cycle(OPTIMIZERS)))


class Case:
    """One model and one optimizer, trained from the same start as often as wanted."""

    def __init__(self, model_name: str, optimizer_name: str) -> None:
        keras.utils.set_random_seed(0)
        self.model = MODELS[model_name]()
        self.optimizer = OPTIMIZERS[optimizer_name]()
        self.optimizer.build(self.model.trainable_variables)
        self.step = make_step(self.model, self.optimizer)
        seeds = [
            layer.seed_generator.state
            for layer in self.model.layers
            if getattr(layer, "seed_generator", None) is not None
        ]
        found = (*self.model.variables, *self.optimizer.variables, *seeds)
        self.state = tuple({id(v): v for v in found}.values())
        self._first = [keras.ops.copy(variable.value) for variable in self.state]
        self._data = make_data(self.model.input_shape[1:], model_name)

    def train(self, *, compile: bool = True, every: int | None = None) -> np.ndarray:
        """Takes the steps from the start; returns their losses."""
        keras.utils.set_random_seed(1)  # PyTorch's unseeded draws
        for variable, value in zip(self.state, self._first, strict=True):
            variable.assign(value)
        loop = ol.Loop(compile=compile, observers=())
        data = ol.Batches(self._data, batch_size=BATCH)
        for epoch in loop.epochs(1):
            epoch.train(self.step, data, every=every).run()
        self.drawing = str(loop)
        return np.array(loop.history.steps["train_loss"])


def make_step(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Any:
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    return step


def make_data(shape: tuple[int, ...], model_name: str) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    size = (STEPS * BATCH, *shape)
    if model_name == "Embedding":
        x = generator.integers(0, 10, size).astype("int32")
    else:
        x = generator.normal(size=size).astype("float32")
    return x, generator.integers(0, CLASSES, STEPS * BATCH).astype("int32")


@dataclass(frozen=True)
class Row:
    """What is said of one case."""

    kind: str
    reason: str
    difference: float

    @classmethod
    def of(cls, case: Case) -> "Row":
        losses = case.train()
        kind, _, reason = case.drawing.splitlines()[-1].strip(" └─").partition(" (")
        eager = case.train(compile=False)
        difference = float(np.abs(losses - eager).max())
        return cls(kind, reason.removesuffix(")"), difference)


def expected_kind(backend: str, model_name: str) -> str:
    if backend == "torch":
        return STEPWISE
    return STEPWISE if backend == "jax" and model_name == "Conv2D" else FUSED


@pytest.mark.in_turn(of=("jax", "tensorflow"), most=2)
@pytest.mark.parametrize(("model_name", "optimizer_name"), CASES)
def test_a_step_is_compiled_and_equals_eager_and_any_looking(
    backend, bits, model_name, optimizer_name
):
    if backend == "torch":
        pytest.skip("tests/backends/torch/test_compile.py has this table for PyTorch")
    case = Case(model_name, optimizer_name)
    row = Row.of(case)
    assert row.difference <= 1e-5
    assert row.kind == expected_kind(backend, model_name)
    assert bool(row.reason) == (
        model_name == "Conv2D" or (backend == "tensorflow" and model_name in RANDOM)
    )
    whole, end = case.train(), bits(case.state)
    single, end_of_single = case.train(every=1), bits(case.state)
    np.testing.assert_array_equal(whole, single)
    assert end == end_of_single
    assert len(set(whole.tolist())) == STEPS


def main() -> None:
    print(f"{keras.backend.backend()}: largest difference of {STEPS} losses to eager\n")
    print("| optimizer | layer | runs as | why | difference |")
    print("| --- | --- | --- | --- | --- |")
    for model_name, optimizer_name in CASES:
        row = Row.of(Case(model_name, optimizer_name))
        print(
            f"| {optimizer_name} | {model_name} | {row.kind} | {row.reason} | "
            f"{row.difference:.1g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
