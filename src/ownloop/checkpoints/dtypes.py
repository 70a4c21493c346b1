r"""NumPy's dtypes in the words of safetensors, and arrays as bytes.

Owns which dtypes can be saved. Bytes are little-endian, as safetensors wants them: a
big-endian array is saved with the same values, and comes back little-endian.
"""

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_NAMES = {
    "BOOL": "bool",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    # NumPy gets these from the package ml_dtypes, which Keras brings.
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
WORDS = tuple(_NAMES)
"""All dtypes that can be saved, in the words of safetensors."""

_WORD_OF_NAME = {name: word for word, name in _NAMES.items()}
_BYTES = {"BOOL": 1, "C64": 8, "BF16": 2, "F16": 2, "F32": 4, "F64": 8} | {
    f"{sign}{bits}": bits // 8 for sign in "IU" for bits in (8, 16, 32, 64)
}


def word_of(dtype: np.dtype[Any]) -> str | None:
    """Returns the word for a dtype, in either byte order; None if there is none.

    Example:
        >>> word_of(np.dtype(">f4")), word_of(np.dtype("datetime64[s]"))
        ('F32', None)
    """
    word = _WORD_OF_NAME.get(dtype.name)
    known = word is not None and dtype_of(word) == dtype.newbyteorder("<")
    return word if known else None


def holds(name: str) -> bool:
    """Returns whether a checkpoint can hold arrays of a dtype, by NumPy's name for it.

    Example:
        >>> holds("bfloat16"), holds("complex128")
        (True, False)
    """
    return name in _WORD_OF_NAME


def dtype_of(word: str) -> np.dtype[Any] | None:
    """Returns the dtype for a word; None if it needs `ml_dtypes`, which is missing.

    Raises:
        KeyError: There is no such word.

    Example:
        >>> dtype_of("F32")
        dtype('float32')
    """
    name = _NAMES[word]
    if name in np.sctypeDict:
        return _little_endian(np.dtype(name))
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        return None
    return _little_endian(np.dtype(getattr(ml_dtypes, name)))


def size_of(word: str) -> int | None:
    """Returns how many bytes a value takes; None if there is no such word.

    Example:
        >>> size_of("BF16"), size_of("F8_E4M3"), size_of("C64"), size_of("F3")
        (2, 1, 8, None)
    """
    return _BYTES.get(word, 1) if word in _NAMES else None


def to_bytes(array: np.ndarray) -> memoryview:
    r"""Returns an array's values, row by row, little-endian; copied only if need be.

    Example:
        >>> bytes(to_bytes(np.array([1, 2], ">i2")))
        b'\x01\x00\x02\x00'
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if array.dtype != array.dtype.newbyteorder("<"):
        flat = flat.byteswap()
    return flat.view(np.uint8).data


def from_bytes(
    content: bytearray, offset: int, dtype: np.dtype[Any], shape: Sequence[int]
) -> np.ndarray:
    r"""Returns an array that looks into `content`: no copy, and writable.

    Example:
        >>> from_bytes(bytearray(b"?\x01\x00\x02\x00"), 1, np.dtype("<i2"), [2, 1])
        array([[1],
               [2]], dtype=int16)
    """
    count = math.prod(shape)
    return np.frombuffer(content, dtype, count, offset).reshape(shape)


def _little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # Where it is the machine's own order, saying so would show in the array's repr.
    return dtype if sys.byteorder == "little" else dtype.newbyteorder("<")
