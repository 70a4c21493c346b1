"""Where each array lies in state.safetensors: a function of their shapes, and no more.

Owns the safetensors format: eight bytes that say how long the header is, a header in
JSON, the values. We write it ourselves, since the package wants the whole file in
memory once more; and we never parse it. The header of a sound file is the one that its
manifest leads to, so a reader compares bytes, and whatever a header could say that is
hostile was never asked. Any program that reads safetensors reads these files.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from ownloop.checkpoints.dtypes import size_of
from ownloop.checkpoints.manifest import TensorSpec

HEADER_LIMIT = 100_000_000
"""The longest header, in bytes, that readers of safetensors accept."""

_LENGTH_BYTES = 8
_ALIGNMENT = 8
_RESERVED = "__metadata__"


@final
@dataclass(frozen=True)
class FileLayout:
    """A file's beginning, and the order and offsets of what follows.

    Attributes:
        header: The first bytes of the file: the header's length, and the header.
        offsets: Where each array begins, in bytes from the beginning of the file, in
            the order of the file.
        size: How many bytes the file has.
    """

    header: bytes
    offsets: Mapping[str, int]
    size: int


def arrange(tensors: Mapping[str, TensorSpec]) -> FileLayout:
    """Returns the only layout that arrays of these dtypes and shapes can have.

    The widest dtypes come first, so that every value lies at a multiple of its size.

    Raises:
        ValueError: A dtype, a name or the number of arrays is not possible.

    Example:
        >>> layout = arrange({"bias": TensorSpec("F32", (2,), "trainable", "")})
        >>> layout.offsets, layout.size
        ({'bias': 72}, 80)
    """
    header: dict[str, object] = {}
    starts: dict[str, int] = {}
    end = 0
    for name in sorted(tensors, key=lambda name: (-_width(tensors[name]), name)):
        if name == _RESERVED:
            raise ValueError(f"the name {name!r} is safetensors' own")
        spec = tensors[name]
        starts[name] = end
        end += math.prod(spec.shape) * _width(spec)
        header[name] = {
            "dtype": spec.dtype,
            "shape": spec.shape,
            "data_offsets": [starts[name], end],
        }
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > HEADER_LIMIT:
        raise ValueError(
            f"the header takes {len(text)} bytes, more than {HEADER_LIMIT}"
        )
    first = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    offsets = {name: len(first) + start for name, start in starts.items()}
    return FileLayout(first, offsets, len(first) + end)


def _width(spec: TensorSpec) -> int:
    width = size_of(spec.dtype)
    if width is None:
        raise ValueError(f"the dtype {spec.dtype!r:.40} is unknown")
    return width
