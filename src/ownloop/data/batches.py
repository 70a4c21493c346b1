"""Batches: arrays in memory, cut into batches in a known order.

Owns which rows make up which batch of which epoch. Makes NumPy arrays of lists and of
tensors, copies no NumPy array when it is made, and never moves one to a device: the
loop does, once.
"""

from collections.abc import Iterator
from typing import Any, final

import numpy as np
import optree

from ownloop.data.leaves import as_array, flatten, place, standard
from ownloop.data.mistakes import explained
from ownloop.data.order import permutation, unshuffled
from ownloop.errors import DataError
from ownloop.shown import shown
from ownloop.whole import whole_number


@final
class Batches:
    """Arrays of equal length, as batches whose order depends on (seed, epoch) alone.

    A loop keeps the arrays on the device, in the dtypes that they have, and picks each
    batch by its row numbers, so that no batch has to be copied there during training.
    Images of uint8 take a quarter of the memory, and a step may scale them.
    Memory-mapped arrays (`numpy.memmap`) and views of them stay on the disk, and are
    read batch by batch, ahead of the step that takes them.

    Args:
        arrays: An array, or a tuple, list or dict (nested or not) of arrays with equal
            length. NumPy's are kept by reference, lists and tensors become such; a
            loop reads them once, so after a change in place make new `Batches`. A step
            gets its batches in the same structure. float64 becomes
            `keras.config.floatx()` on the device.
        batch_size: The examples in each batch; the last batch holds what is left.
        shuffle: Whether each epoch has a new order; otherwise it is 0 to n - 1.
        seed: 0 to 2**64 - 1; equal seeds give equal orders, on every machine.
        drop_remainder: Whether a last batch that is shorter than the others is left
            out.

    Raises:
        DataError: No data, lengths that differ, an array without rows or not made of
            numbers, or a batch size that is missing or not a positive integer.

    Example:
        >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
        >>> batches = Batches((x, y), batch_size=2, shuffle=True, seed=1)
        >>> batches
        Batches(5 examples, 3 batches of 2, shuffled, seed 1)
        >>> [labels.tolist() for _, labels in batches]
        [[0, 3], [4, 2], [1]]
    """

    @explained
    def __init__(
        self,
        arrays: Any,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_remainder: bool = False,
    ) -> None:
        names, leaves, structure = flatten(arrays)
        self.leaves: list[np.ndarray] = [
            as_array(leaf, name) for leaf, name in zip(leaves, names, strict=True)
        ]
        self.structure: optree.PyTreeSpec = structure
        self.examples = _equal_length(self.leaves, names)
        self.batch_size = _integer(batch_size, "batch_size", least=1)
        self.shuffle = bool(shuffle)
        self.seed = _integer(seed, "seed", least=0)
        self.drop_remainder = bool(drop_remainder)
        self._order: tuple[int, np.ndarray] | None = None
        self._resident: dict[str, list[np.ndarray]] = {}
        if len(self) == 0:
            raise DataError(
                f"{self.examples:,} examples make no batch of {self.batch_size:,} "
                "with drop_remainder=True. Expected at least one whole batch. Choose "
                "a smaller batch_size, or drop_remainder=False."
            )

    def __len__(self) -> int:
        """Counts the batches of one epoch; a short last batch counts as one."""
        if self.drop_remainder:
            return self.examples // self.batch_size
        return -(-self.examples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of epoch 1, to look at; each as `batch` returns it."""
        return (self.batch(1, index) for index in range(len(self)))

    def __repr__(self) -> str:
        order = f"shuffled, seed {self.seed}" if self.shuffle else "in order"
        count = len(self)
        dropped = ", remainder dropped" if self.drop_remainder else ""
        return (
            f"Batches({self.examples:,} example{'s' * (self.examples != 1)}, "
            f"{count:,} batch{'es' * (count != 1)} of {self.batch_size:,}, "
            f"{order}{dropped})"
        )

    def rows(self, epoch: int) -> np.ndarray:
        """Returns the order of the examples in one epoch.

        Args:
            epoch: The epoch's number, counted from 1.

        Returns:
            Row numbers, read-only, shape (examples,), int32 where they fit else int64.

        Example:
            >>> Batches(np.zeros(4), 2, shuffle=True, seed=1).rows(2).tolist()
            [2, 0, 1, 3]
        """
        # Read once: threads of two epochs may ask at the same time.
        order = self._order
        if order is None or order[0] != epoch:
            number = _integer(epoch, "epoch", least=0) if self.shuffle else 0
            rows = (
                permutation(self.examples, seed=self.seed, epoch=number)
                if self.shuffle
                else unshuffled(self.examples)
            )
            rows.flags.writeable = False
            self._order = order = (epoch, rows)
        return order[1]

    def batch(self, epoch: int, index: int) -> Any:
        """Returns one batch as NumPy arrays, in the structure of the arrays.

        Args:
            epoch: The epoch's number, counted from 1.
            index: The batch's place in that epoch, counted from 0.

        Returns:
            Copies of the rows, in their own dtypes.

        Raises:
            DataError: There is no such batch.

        Example:
            >>> Batches(np.arange(5), 2).batch(1, 2).tolist()
            [4]
        """
        if not 0 <= index < len(self):
            raise DataError(
                f"There is no batch {index}. Expected 0 to {len(self) - 1}, as there "
                f"are {len(self):,} batches. Use an index in that range."
            )
        start = index * self.batch_size
        rows = self.rows(epoch)[start : start + self.batch_size]
        return self.structure.unflatten([leaf[rows] for leaf in self.leaves])

    def resident(self, float_type: str) -> list[np.ndarray]:
        """Returns the whole arrays as a device wants them: the same objects each time.

        Args:
            float_type: What float64 becomes, such as `"float32"`.

        Returns:
            One array per leaf: the user's own where nothing had to change.

        Example:
            >>> Batches(np.zeros(4), 2).resident("float32")[0].dtype
            dtype('float32')
        """
        if float_type not in self._resident:
            self._resident[float_type] = [
                standard(leaf, float_type) for leaf in self.leaves
            ]
        return self._resident[float_type]


def _equal_length(leaves: list[np.ndarray], names: list[str]) -> int:
    if not leaves:
        raise DataError(
            "There are no arrays in the data. Expected at least one array of "
            "examples. Pass an array, or a tuple, list or dict of arrays."
        )
    for leaf, name in zip(leaves, names, strict=True):
        if leaf.ndim == 0:
            raise DataError(
                f"{place(name)} is the single value {leaf}. Expected an array whose "
                "first axis counts the examples. Use leaf[None] for one example, or "
                "keep constants in the step."
            )
        if len(leaf) != len(leaves[0]):
            raise DataError(
                f"The arrays have different lengths: {names[0]} has "
                f"{len(leaves[0]):,} examples and {name} has {len(leaf):,}. Expected "
                "one entry per example in each array. Cut or select them together."
            )
    if len(leaves[0]) == 0:
        raise DataError(
            f"{place(names[0])} has no examples: its shape is {leaves[0].shape}. "
            "Expected at least one. Check how the data were selected."
        )
    return len(leaves[0])


def _integer(value: Any, name: str, *, least: int) -> int:
    expected = f"Expected an integer of {least} or more"
    number = whole_number(value)
    if number is None:
        raise DataError(
            f"{name} is {shown(value)}, of type {type(value).__name__}. {expected}. "
            f"Pass a whole number, such as {name}={max(least, 1)}."
        )
    if not least <= number < 2**64:
        raise DataError(
            f"{name} is {number}. {expected}, below 2**64. "
            f"Pass a number in that range, such as {name}={max(least, 1)}."
        )
    return number
