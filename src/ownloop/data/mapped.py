"""Memory-mapped arrays: too large for memory, so read from the disk batch by batch."""

from collections.abc import Iterator
from typing import Any, final

import numpy as np

from ownloop.data.batches import Batches


def is_mapped(batches: Batches) -> bool:
    """Whether any of the arrays lies in a file, and should not be read as a whole.

    Example:
        >>> is_mapped(Batches(np.arange(4), 2))
        False
    """
    return any(isinstance(leaf, np.memmap) for leaf in batches.leaves)


@final
class FromEpoch:
    """The batches of one epoch each time it is iterated, beginning with a given one.

    The same batches in the same order as those of arrays in memory.

    Example:
        >>> data = FromEpoch(Batches(np.arange(4), 2, shuffle=True, seed=1), epoch=1)
        >>> [batch.tolist() for batch in data], [batch.tolist() for batch in data]
        ([[0, 3], [2, 1]], [[2, 0], [1, 3]])
    """

    def __init__(self, batches: Batches, *, epoch: int) -> None:
        self._batches = batches
        self._epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        return (self._batches.batch(epoch, i) for i in range(len(self._batches)))
