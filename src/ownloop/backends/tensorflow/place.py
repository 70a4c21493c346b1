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
    placed = []
    for array in arrays:
        dtype = canonical(LeafSpec(array.shape, str(array.dtype))).dtype
        # A constant holds two copies for as long as it lives, and this one of it one.
        placed.append(tf.identity(tf.constant(array, dtype)))
    return Placed(tuple(placed))


def fill(
    batch: Sequence[LeafSpec], capacity: int, segment: Segment, data: Placed | None
) -> list[Tensor]:
    """Returns the segment's batches as one block per leaf."""
    if segment.leaves is not None:
        return [
            _block(leaf, capacity, tf.constant(array, leaf.dtype))
            for leaf, array in zip(batch, segment.leaves, strict=True)
        ]
    if segment.rows is None or data is None:
        return []
    rows = tf.constant(segment.rows)
    return [
        _block(leaf, capacity, tf.gather(array, rows))
        for leaf, array in zip(batch, data.arrays, strict=True)
    ]


def _block(leaf: LeafSpec, capacity: int, batches: Tensor) -> Tensor:
    """Returns a block that begins with these batches; the rest of it may be anything.

    So a short chunk costs what its own batches cost. `InplaceUpdate` writes into the
    new tensor, of which nobody else knows; TensorFlow's other ways to fill a part of a
    tensor copy the whole.
    """
    count = len(batches)
    if count == capacity:
        return batches
    block = tf.raw_ops.Empty(shape=(capacity, *leaf.shape), dtype=leaf.dtype)
    return tf.raw_ops.InplaceUpdate(x=block, i=tf.range(count), v=batches)
