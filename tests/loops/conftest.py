"""What the loops share: a few small digits, and a model that is quick to compile."""

import re
from collections.abc import Callable

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Event, Notice

_HOW = re.compile(r" runs (eagerly|one batch at a time|without XLA)")


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first 600 digits at a quarter of their width: (600, 49), values 0 to 1."""
    (x, y), _ = ol.datasets.mnist()
    small = x[:600, 2::4, 2::4].reshape(600, 49)
    return small.astype("float32") / 255, y[:600]


@pytest.fixture
def make_model() -> Callable[[], keras.Model]:
    """Make a classifier of the small digits; equal weights at each call."""

    def make() -> keras.Model:
        keras.utils.set_random_seed(1)
        return keras.Sequential(
            [
                keras.layers.Input((49,)),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(10),
            ]
        )

    return make


class Listener:
    """An observer that keeps all that it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def notices(self) -> list[str]:
        """What a person would have read, without the words on how a step is run."""
        texts = [event.text for event in self.events if isinstance(event, Notice)]
        return [text for text in texts if not _HOW.search(text)]


@pytest.fixture
def listener() -> Listener:
    """An observer that keeps all that it is told."""
    return Listener()
