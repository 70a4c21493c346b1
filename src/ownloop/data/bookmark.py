"""A place in a stream, by which another process can go on behind it."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True)
class Bookmark:
    """A place in a stream.

    Attributes:
        batches: how many were used since it was opened last, at least 1.
        digest: of them, in order.
        opening: how often it had been opened then.
        generators: of random numbers, by name: the packed states before it was opened,
            of those that it has drawn from since.
        ahead: so, the states behind the last batch used, of those that it has drawn
            from to read ahead; that is drawn again.

    Example:
        >>> Bookmark.from_json(Bookmark(3, 99).to_json())
        Bookmark(batches=3, digest=99, opening=1, generators={}, ahead={})
    """

    batches: int
    digest: int
    opening: int = 1
    generators: Mapping[str, Any] = field(default_factory=dict)
    ahead: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the bookmark as JSON, but for the arrays in it; see ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, packed: Mapping[str, Any]) -> "Bookmark":
        """Read what ``to_json`` gave."""
        return cls(**packed)


def add_to_digest(digest: int, leaves: list[np.ndarray]) -> int:
    """Give the digest of the batches so far and of another one.

    Example:
        >>> one, other = np.arange(4.0), np.arange(4.0)[::-1]
        >>> add_to_digest(0, [one]) == add_to_digest(0, [other])
        False
    """
    for leaf in leaves:
        digest = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, digest)
    return digest
