"""One epoch's row: what its passes have given so far."""

from collections.abc import Iterator, Mapping
from typing import final

import numpy as np

from ownloop.history.names import unknown


@final
class Row(Mapping[str, float | np.ndarray]):
    """The values of one epoch by name; of each name the last one seen.

    Example:
        >>> row = Row(3, {"val_loss": 0.25})
        >>> row["val_loss"], dict(row)
        (0.25, {'val_loss': 0.25})
    """

    def __init__(self, epoch: int, values: Mapping[str, float | np.ndarray]) -> None:
        self._epoch = epoch
        self._values = dict(values)

    def __getitem__(self, name: str) -> float | np.ndarray:
        if name not in self._values:
            raise unknown(name, self._values, f"known in epoch {self._epoch} yet")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Row({self._epoch}, {self._values!r})"
