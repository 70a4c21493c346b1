"""Whether variables are finite, on PyTorch: the extremes of each, looked at at once."""

from collections.abc import Sequence

import keras
import numpy as np
import torch

from ownloop.backends.contract import Tensor
from ownloop.backends.torch.state import memory


def finite(variables: Sequence[keras.Variable]) -> np.ndarray:
    """Returns for each variable whether all of its values are finite.

    Example:
        >>> count = keras.Variable(2, trainable=False)
        >>> finite([keras.Variable([1.0, float("nan")]), count]).tolist()
        [False, True]
    """
    values = memory(variables)
    flags = np.ones(len(values), bool)
    places = [i for i, value in enumerate(values) if _can_be_infinite(value)]
    if places:
        # Both extremes are NaN where a value is. Measured at a twentieth of the time
        # that `isfinite(value).all()` takes.
        pairs = [torch.aminmax(_plain(values[i])) for i in places]
        extremes = torch.stack([value for pair in pairs for value in pair])
        found = torch.isfinite(extremes).view(-1, 2).all(1)
        flags[places] = found.cpu().numpy()
    return flags


def _can_be_infinite(value: Tensor) -> bool:
    return value.numel() > 0 and (value.is_floating_point() or value.is_complex())


def _plain(value: Tensor) -> Tensor:
    """Returns a value as numbers that have an order."""
    if value.is_complex():
        value = torch.view_as_real(value)
    return value.float() if value.element_size() == 1 else value
