"""Where data lie on TensorFlow: whole tensors, and blocks of batches.

A block holds `capacity` batches of one shape, of which the first few count; the step's
program sees blocks only, and is compiled neither for the length of the data nor for
the length of a chunk.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import tensorflow as tf

from ownloop.backends.contract import LeafSpec, Placed, Segment, Tensor


def canonical(leaf: LeafSpec) -> LeafSpec:
    """Returns the spec with float64 as Keras' default float."""
    return leaf.in_floatx()


def place(arrays: Sequence[np.ndarray]) -> Placed:
    """Copies arrays to the default device."""
    placed = []
    for array in arrays:
        dtype = canonical(LeafSpec.of(array)).dtype
        # A constant holds two copies for as long as it lives, and this one of it one.
        placed.append(tf.identity(tf.constant(array, dtype)))
    return Placed(tuple(placed))


@final
class BlockRoom:
    """Makes blocks for one program.

    What they are made of is put into TensorFlow's own words once: said in Python's, it
    takes three times as long as to gather a batch.
    """

    def __init__(self, batch: Sequence[LeafSpec], capacity: int) -> None:
        self._capacity = capacity
        self._dtypes = [tf.as_dtype(leaf.dtype) for leaf in batch]
        self._shapes = [
            tf.constant((capacity, *leaf.shape), tf.int32) for leaf in batch
        ]

    def fill(self, segment: Segment, data: Placed | None) -> list[Tensor]:
        """Returns the segment's batches as one block per leaf.

        The blocks begin with them, and the rest may be anything, so that a short chunk
        costs what its own batches cost. `InplaceUpdate` writes into the new tensor, of
        which nobody else knows; TensorFlow's other ways to fill a part of a tensor
        copy the whole.
        """
        batches = self._batches(segment, data)
        if segment.count == self._capacity:
            return batches
        places = tf.constant(np.arange(segment.count, dtype=np.int32))
        return [
            tf.raw_ops.InplaceUpdate(
                x=tf.raw_ops.Empty(shape=shape, dtype=dtype), i=places, v=values
            )
            for shape, dtype, values in zip(
                self._shapes, self._dtypes, batches, strict=True
            )
        ]

    def _batches(self, segment: Segment, data: Placed | None) -> list[Tensor]:
        if segment.leaves is not None:
            return [
                tf.constant(array, dtype)
                for array, dtype in zip(segment.leaves, self._dtypes, strict=True)
            ]
        if segment.rows is None or data is None:
            return []
        rows = tf.constant(segment.rows)
        return [
            tf.raw_ops.GatherV2(params=array, indices=rows, axis=0)
            for array in data.arrays
        ]
