"""The networks of the job that is killed: all in which one differs from the other.

They run as different kinds of programs: convolutions on the CPU step by step on JAX,
and without XLA on TensorFlow.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import final

import keras


@final
@dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes:
        shape: of one example.
        layers: gives its layers, the second of which has a kernel; `changes` names what
            another script does otherwise.
    """

    shape: tuple[int, ...]
    layers: Callable[[Collection[str]], list[keras.Layer]]

    def build(self, changes: Collection[str]) -> keras.Model:
        """Give a new model."""
        return keras.Sequential([keras.Input(self.shape), *self.layers(changes)])


def _dense(changes: Collection[str]) -> list[keras.Layer]:
    layers = keras.layers
    width = 9 if "width" in changes else 8
    return [
        layers.GaussianNoise(0.1, seed=5),
        layers.Dense(width, name="renamed" if "name" in changes else "hidden"),
        layers.BatchNormalization(),
        *([layers.Dense(8)] if "added layer" in changes else []),
        layers.ReLU(),
        layers.Dropout(0.4 if "dropout" in changes else 0.3),
        layers.Dense(2, use_bias="removed bias" not in changes),
    ]


def _images(changes: Collection[str]) -> list[keras.Layer]:
    layers = keras.layers
    return [
        layers.RandomFlip("horizontal", seed=5),
        layers.Conv2D(4, 3, padding="same", name="hidden"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(2),
    ]


NETWORKS = {"dense": Network((6,), _dense), "images": Network((8, 8, 1), _images)}
"""By what a run's settings call them."""
