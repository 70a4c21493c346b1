"""Arrays on the device, in the dtypes that Keras gives them on PyTorch."""

from collections.abc import Sequence

import keras
import numpy as np
import torch

from ownloop.backends.contract import LeafSpec, Placed, Tensor

_STORED_WIDER = {"uint16": "int32", "uint32": "int64"}
"""PyTorch has no such dtypes that can compute; Keras stores them in wider ones."""


def canonical(leaf: LeafSpec) -> LeafSpec:
    """Returns the spec with the dtype that Keras gives such an array on PyTorch."""
    dtype = leaf.in_floatx().dtype
    return LeafSpec(leaf.shape, _STORED_WIDER.get(dtype, dtype))


def to_device(array: np.ndarray) -> Tensor:
    """Copies an array to Keras' device; later changes to the array are not seen."""
    spec = canonical(LeafSpec.of(array))
    if spec.dtype != str(array.dtype) and array.dtype.kind in "uf":
        own: np.ndarray | Tensor = array.astype(spec.dtype)
    else:
        own = _copy(array)
    return keras.ops.convert_to_tensor(own, dtype=spec.dtype)


def _copy(array: np.ndarray) -> np.ndarray | Tensor:
    """Copies once: on the CPU a tensor otherwise shares the caller's memory."""
    if array.flags.c_contiguous and array.dtype.isbuiltin == 1:
        # Keras copies what is no tensor yet once more.
        return torch.tensor(array)
    return np.array(array, copy=True, order="C")


def place(arrays: Sequence[np.ndarray]) -> Placed:
    """Copies whole arrays to Keras' device."""
    return Placed(tuple(to_device(array) for array in arrays))


def row_numbers(rows: np.ndarray) -> tuple[Tensor, ...]:
    """Returns one tensor of row numbers per batch, where Keras keeps its tensors."""
    indices = torch.from_numpy(np.array(rows, np.int64, copy=True))
    return keras.ops.convert_to_tensor(indices).unbind(0)


def to_host(tensor: Tensor) -> np.ndarray:
    """Returns a tensor's values as a NumPy array with memory of its own.

    By PyTorch's own way and not by Keras', which makes NumPy 2 warn. Dtypes that NumPy
    does not know come as float32, which holds every value of theirs.
    """
    tensor = torch.as_tensor(tensor).detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        tensor = tensor.float()
    return np.array(tensor.numpy(), copy=True)
