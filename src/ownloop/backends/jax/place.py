"""Where data lie on JAX: whole arrays on the device, and blocks of batches.

A block holds `capacity` batches of one shape, of which the first few are filled. The
step's program sees blocks only, so it is compiled neither for the length of the data
nor for the length of a chunk; the small program that gathers rows into a block is
compiled for each length of the data and does no arithmetic.
"""

import functools
from collections.abc import Sequence
from typing import final

import jax
import jax.numpy as jnp
import numpy as np

from ownloop.backends.contract import LeafSpec, Placed, Segment


def canonical(leaf: LeafSpec) -> LeafSpec:
    """Returns the spec with the dtype that JAX gives such an array (int64 -> int32)."""
    dtype = jax.dtypes.canonicalize_dtype(leaf.in_floatx().dtype)
    return LeafSpec(leaf.shape, str(dtype))


def place(arrays: Sequence[np.ndarray]) -> Placed:
    """Copies arrays to the default device."""
    # When this returns, the caller may change its arrays.
    return Placed(tuple(jax.block_until_ready([_copy(array) for array in arrays])))


def _copy(array: np.ndarray) -> jax.Array:
    """Copies once, where `jnp.array` copies twice.

    On the CPU, JAX takes the caller's memory for its own where it lies well, also
    with `may_alias=False`, and copies it where it does not.
    """
    dtype = canonical(LeafSpec.of(array)).dtype
    placed = jax.device_put(array.astype(dtype, copy=False))
    shares = placed.unsafe_buffer_pointer() == array.__array_interface__["data"][0]
    return jnp.copy(placed) if shares else placed


@final
class BlockRoom:
    """Two sets of block buffers: one is filled while the device reads the other."""

    def __init__(self, batch: Sequence[LeafSpec], capacity: int) -> None:
        self._batch = batch
        self._capacity = capacity
        self._buffers: list[list[jax.Array] | None] = [None, None]
        self._turn = 0

    def fill(self, segment: Segment, data: Placed | None) -> list[jax.Array]:
        """Returns the segment's batches as one block per leaf."""
        if segment.leaves is not None and 4 * segment.count <= self._capacity:
            return self._put(segment.count, segment.leaves)
        if segment.leaves is not None:
            return [
                self._stack(leaf, array)
                for leaf, array in zip(self._batch, segment.leaves, strict=True)
            ]
        if segment.rows is None or data is None:
            return []
        if segment.count == self._capacity:
            return _gather_all(data.arrays, segment.rows)
        rows = np.zeros((self._capacity, segment.rows.shape[1]), np.int32)
        rows[: segment.count] = segment.rows
        count = np.int32(segment.count)
        return self._keep(_gather(self._free(), data.arrays, rows, count))

    def _put(self, count: int, leaves: Sequence[np.ndarray]) -> list[jax.Array]:
        """Puts a few batches into a buffer, where a new block would cost far more."""
        block = self._free()
        for i in range(count):
            # A copy: the caller may change its arrays while the device still reads.
            batch = [
                np.array(leaf[i], dtype=spec.dtype)
                for leaf, spec in zip(leaves, self._batch, strict=True)
            ]
            block = _put_batch(block, batch, np.int32(i))
        return self._keep(block)

    def _free(self) -> list[jax.Array]:
        """Takes the buffers that the device is not reading."""
        self._turn = 1 - self._turn
        buffers = self._buffers[self._turn]
        self._buffers[self._turn] = None
        if buffers is not None:
            return buffers
        return [
            jnp.zeros((self._capacity, *leaf.shape), leaf.dtype) for leaf in self._batch
        ]

    def _keep(self, block: list[jax.Array]) -> list[jax.Array]:
        self._buffers[self._turn] = block
        return list(block)

    def _stack(self, leaf: LeafSpec, array: np.ndarray) -> jax.Array:
        block = np.zeros((self._capacity, *leaf.shape), leaf.dtype)
        block[: len(array)] = array
        return jnp.asarray(block)


@functools.partial(jax.jit, donate_argnums=0)
def _put_batch(
    buffers: list[jax.Array], batch: list[jax.Array], i: jax.Array
) -> list[jax.Array]:
    """Copies one batch to a place in the buffers."""
    return [
        jax.lax.dynamic_update_index_in_dim(buffer, leaf, i, 0)
        for buffer, leaf in zip(buffers, batch, strict=True)
    ]


@jax.jit
def _gather_all(data: Sequence[jax.Array], rows: jax.Array) -> list[jax.Array]:
    """Copies a full block of rows, which takes two thirds of the time of a loop."""
    # Row numbers come from our own feeds: nothing has to be checked for each.
    return [array.at[rows].get(mode="promise_in_bounds") for array in data]


@functools.partial(jax.jit, donate_argnums=0)
def _gather(
    buffers: list[jax.Array],
    data: Sequence[jax.Array],
    rows: jax.Array,
    count: jax.Array,
) -> list[jax.Array]:
    """Copies `count` batches of rows to the front of the buffers."""

    def copy_batch(i: jax.Array, block: list[jax.Array]) -> list[jax.Array]:
        chosen = jax.lax.dynamic_index_in_dim(rows, i, keepdims=False)
        return [
            jax.lax.dynamic_update_index_in_dim(
                buffer, jnp.take(array, chosen, axis=0, mode="clip"), i, 0
            )
            for buffer, array in zip(block, data, strict=True)
        ]

    return jax.lax.fori_loop(0, count, copy_batch, list(buffers))
