"""A place in a stream, by which another process can go on behind it."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

_SAMPLED = 256


@final
@dataclass(frozen=True)
class Bookmark:
    """A place in a stream.

    Attributes:
        batches: how many were used since it was opened last, at least 1.
        digest: of samples of their values, in order.
        generators: of random numbers, by name, the states before it was opened, of
            those that it drew from then.
        opening: how often it had been opened then.
        next: as ``generators``, before it is opened the next time, where it was read
            ahead so far; what was drawn since is drawn again.

    Example:
        >>> Bookmark.from_json(Bookmark(3, 99, {}).to_json())
        Bookmark(batches=3, digest=99, generators={}, opening=1, next={})
    """

    batches: int
    digest: int
    generators: Mapping[str, Any]
    opening: int = 1
    next: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the bookmark as JSON, but for the arrays in it; see ``from_json``."""
        return {
            "batches": self.batches,
            "digest": self.digest,
            "generators": dict(self.generators),
            "opening": self.opening,
            "next": dict(self.next),
        }

    @classmethod
    def from_json(cls, packed: Mapping[str, Any]) -> "Bookmark":
        """Read what ``to_json`` gave."""
        return cls(**packed)


def add_to_digest(digest: int, leaves: list[np.ndarray]) -> int:
    """Give the digest of the batches so far and of another one.

    Of each leaf some 256 values count, evenly spaced.

    Example:
        >>> one, other = np.arange(4.0), np.arange(4.0)[::-1]
        >>> add_to_digest(0, [one]) == add_to_digest(0, [other])
        False
    """
    for leaf in leaves:
        flat = np.ravel(leaf, order="K")
        sample = flat[:: max(1, flat.size // _SAMPLED)]
        digest = zlib.crc32(np.ascontiguousarray(sample).tobytes(), digest)
    return digest
