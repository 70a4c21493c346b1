"""What was recorded, as frozen records: what a `History` hands to whoever follows it.

A record says the same as the call that made it. It owns its arrays, and knows nothing
of where it is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np


@final
@dataclass(frozen=True, eq=False)
class StepsRecorded:
    """Values of consecutive steps, as `History.record_steps` took them.

    Attributes:
        pass_name: The pass's name.
        keys: What the step called its values.
        steps: The run's number of each step, int64, shape (n,).
        values: A row for each step, a column for each key, float64, shape (n, keys).
    """

    pass_name: str
    keys: tuple[str, ...]
    steps: np.ndarray
    values: np.ndarray


@final
@dataclass(frozen=True, eq=False)
class PassRecorded:
    """What a finished pass has given, as `History.record_pass` took it.

    Attributes:
        pass_name: The pass's name.
        values: By key, arrays of float64; shape () for a number.
        step: How many steps the run had done.
        epoch: The epoch's number; 0 for a look outside the epochs.
    """

    pass_name: str
    values: Mapping[str, np.ndarray]
    step: int
    epoch: int


@final
@dataclass(frozen=True)
class EpochRecorded:
    """The end of an epoch, as `History.record_epoch` took it.

    Attributes:
        number: The epoch's number, counted from 1.
        step: How many steps the run had done at its end.
    """

    number: int
    step: int


Record: TypeAlias = StepsRecorded | PassRecorded | EpochRecorded
