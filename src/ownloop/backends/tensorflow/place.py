"""Where data lie on TensorFlow: whole tensors, and blocks of batches.

A block holds `capacity` batches of one shape, of which the first few count; the step's
program sees blocks only, and is compiled neither for the length of the data nor for
the length of a chunk.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from ownloop.backends.contract import LeafSpec, Placed, Segment, Tensor


def canonical(leaf: LeafSpec) -> LeafSpec:
    """Returns the spec with float64 as Keras' default float."""
    dtype = keras.config.floatx() if leaf.dtype == "float64" else leaf.dtype
    return LeafSpec(leaf.shape, dtype)


def place(arrays: Sequence[np.ndarray]) -> Placed:
    """Copies arrays to the default device."""
    return Placed(
        tuple(
            tf.constant(array, canonical(LeafSpec(array.shape, str(array.dtype))).dtype)
            for array in arrays
        )
    )


def fill(
    batch: Sequence[LeafSpec], capacity: int, segment: Segment, data: Placed | None
) -> list[Tensor]:
    """Returns the segment's batches as one block per leaf."""
    if segment.leaves is not None:
        return [
            _stack(leaf, capacity, array)
            for leaf, array in zip(batch, segment.leaves, strict=True)
        ]
    if segment.rows is None or data is None:
        return []
    # The places that do not count repeat one row, which costs next to nothing.
    rows = np.zeros((capacity, segment.rows.shape[1]), np.int64)
    rows[: segment.count] = segment.rows
    return [tf.gather(array, rows) for array in data.arrays]


def _stack(leaf: LeafSpec, capacity: int, array: np.ndarray) -> Tensor:
    block = np.zeros((capacity, *leaf.shape), leaf.dtype)
    block[: len(array)] = array
    return tf.constant(block)
