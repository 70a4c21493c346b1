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
        batches: How many batches were used since the stream was opened last; at least
            1.
        digest: The digest of these batches, in order.
        opening: How often the stream had been opened by then.
        generators: By name, the packed states just before the stream was opened, of the
            random generators that it has drawn from since.
        ahead: By name, the packed states just after the last batch used, of the
            generators that were drawn from as it was read ahead; those draws are made
            again.
        unsure: By name, of those among them that the stream or somebody else has drawn
            from, at the same time: the packed states when that had last happened.
        reach: How many batches behind this place it last happened; 0 for none.

    Example:
        >>> place = Bookmark(3, 99, ahead={"numpy": {"words": np.array([5, 7])}})
        >>> Bookmark.from_json(place.to_json()).ahead
        {'numpy': {'words': array([5, 7])}}
    """

    batches: int
    digest: int
    opening: int = 1
    generators: Mapping[str, Any] = field(default_factory=dict)
    ahead: Mapping[str, Any] = field(default_factory=dict)
    unsure: Mapping[str, Any] = field(default_factory=dict)
    reach: int = 0

    def to_json(self) -> dict[str, Any]:
        """Returns the bookmark as JSON, except that arrays in it stay arrays."""
        return asdict(self)

    @classmethod
    def from_json(cls, packed: Mapping[str, Any]) -> "Bookmark":
        """Returns the bookmark of which `to_json` returned this."""
        return cls(**packed)


def add_to_digest(digest: int, leaves: list[np.ndarray]) -> int:
    """Returns the digest of the batches so far and one more.

    Example:
        >>> one, other = np.arange(4.0), np.arange(4.0)[::-1]
        >>> add_to_digest(0, [one]) == add_to_digest(0, [other])
        False
    """
    for leaf in leaves:
        digest = zlib.crc32(np.ascontiguousarray(leaf).view(np.uint8).data, digest)
    return digest
