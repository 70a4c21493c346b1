"""All generators of a job, seeded without waiting for a framework that it lacks."""

import random
from importlib import import_module

import keras
import numpy as np


def seed(number: int) -> None:
    """Seed Python's generator, NumPy's and PyTorch's.

    Not with `keras.utils.set_random_seed`, which imports TensorFlow on every backend:
    in each of hundreds of children that takes seconds.
    """
    random.seed(number)
    np.random.seed(number)
    if keras.backend.backend() == "torch":
        import_module("torch").manual_seed(number)
