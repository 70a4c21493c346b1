"""Memory-mapped arrays: too large for memory, so read from the disk batch by batch."""

from collections.abc import Iterator
from mmap import mmap
from typing import Any, final

import numpy as np

from ownloop.data.batches import Batches


def is_mapped(batches: Batches) -> bool:
    """Whether any of the arrays lies in a file, and should not be read as a whole.

    Example:
        >>> is_mapped(Batches(np.arange(4), 2))
        False
    """
    return any(_lies_in_a_file(leaf) for leaf in batches.leaves)


def _lies_in_a_file(array: Any) -> bool:
    """Whether an array is a memory map, or a view of one, of whatever type."""
    # Copies of a map have its type and no map, plain views the map and not the type.
    while array is not None:
        if isinstance(array, np.memmap) and isinstance(array.base, mmap):
            return True
        array = getattr(array, "base", None)
    return False


@final
class FromEpoch:
    """The batches of one epoch each time it is iterated, beginning with a given one.

    The same batches in the same order as those of arrays in memory. The first `start`
    batches of the first epoch are left out, and not read.

    Example:
        >>> data = FromEpoch(Batches(np.arange(4), 2, shuffle=True, seed=1), epoch=1)
        >>> [batch.tolist() for batch in data], [batch.tolist() for batch in data]
        ([[0, 3], [2, 1]], [[2, 0], [1, 3]])
    """

    def __init__(self, batches: Batches, *, epoch: int, start: int = 0) -> None:
        self._batches = batches
        self._epoch = epoch
        self._start = start

    def __iter__(self) -> Iterator[Any]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        start, self._start = self._start, 0
        indices = range(start, len(self._batches))
        return (self._batches.batch(epoch, index) for index in indices)
