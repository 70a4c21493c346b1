"""The signature of a batch: what must be equal for two batches to share a program.

Knows structure, shapes and dtypes. Knows nothing of the values or of any framework.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import optree

from ownloop.data.leaves import as_array, flatten, standard


@final
@dataclass(frozen=True)
class Signature:
    """The structure of one batch, with the shape and dtype of each of its leaves.

    A step is compiled once per signature, so this is the key to compiled programs:
    it is hashable, and equal exactly where the same program fits.

    Attributes:
        structure: How leaves make up a batch: `structure.unflatten(leaves)` is one.
        leaves: For each leaf its shape, batch axis included, and its dtype's name.

    Example:
        >>> batch = (np.zeros((32, 784)), np.zeros(32, "uint8"))
        >>> signature, _ = Signature.of_batch(batch, float_type="float32")
        >>> signature.leaves
        (((32, 784), 'float32'), ((32,), 'uint8'))
    """

    structure: optree.PyTreeSpec
    leaves: tuple[tuple[tuple[int, ...], str], ...]

    @classmethod
    def of_batch(
        cls, batch: Any, *, float_type: str
    ) -> tuple["Signature", list[np.ndarray]]:
        """Returns the signature of a batch, and its leaves as NumPy arrays.

        Args:
            batch: Arrays of any library, numbers or lists of numbers, bare or in
                tuples, lists and dicts. Arrays are not copied where they fit as they
                are, so the leaves may share memory with the batch.
            float_type: What 64-bit floats become, such as `"float32"`.

        Raises:
            DataError: A leaf is ragged, or not made of numbers.

        Example:
            >>> signature, leaves = Signature.of_batch([1, 2], float_type="float32")
            >>> leaves
            [array([1, 2])]
        """
        names, items, structure = flatten(batch)
        leaves = [
            standard(as_array(item, name), float_type)
            for item, name in zip(items, names, strict=True)
        ]
        return cls.of_leaves(leaves, structure), leaves

    @classmethod
    def of_leaves(
        cls, leaves: list[np.ndarray], structure: optree.PyTreeSpec
    ) -> "Signature":
        """Returns the signature of a batch that has been taken apart already.

        Example:
            >>> _, _, structure = flatten(0)
            >>> Signature.of_leaves([np.zeros(2)], structure).leaves
            (((2,), 'float64'),)
        """
        return cls(structure, tuple((leaf.shape, leaf.dtype.name) for leaf in leaves))

    def __str__(self) -> str:
        """Returns the structure, with dtype and shape in place of each leaf."""
        words = [f"{dtype}{list(shape)}" for shape, dtype in self.leaves]
        return str(self.structure.unflatten(words)).replace("'", "")


def examples(leaves: list[np.ndarray]) -> int:
    """Returns the number of examples: the length of the first leaf that has one.

    A batch of single values only counts as one example.

    Example:
        >>> examples([np.zeros((32, 784)), np.zeros(32)]), examples([np.array(0.5)])
        (32, 1)
    """
    return next((len(leaf) for leaf in leaves if leaf.ndim > 0), 1)
