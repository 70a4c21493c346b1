"""What the two branches of `ownloop.cond` must have in common, on every backend."""

from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop.errors import StepError
from ownloop.shown import shown


def check_alike(one: Any, other: Any) -> None:
    """Refuses branches that returned different structures, shapes or dtypes.

    Raises:
        StepError: One returned None and the other did not, or their structures differ,
            or what they have in one place has different shapes or dtypes.

    Example:
        >>> check_alike({"a": 1}, {"a": 2})
    """
    if not _alike(one, other):
        raise StepError(
            "The branches of `ownloop.cond` returned different structures: "
            f"{shown(one)} and {shown(other)}. Both must return the same. Return the "
            "same structure from both, or assign variables and return nothing."
        )
    leaves = keras.tree.flatten(one), keras.tree.flatten(other)
    for kind, twin in zip(*(map(_kind, side) for side in leaves), strict=True):
        if not kind.may_be(twin):
            raise StepError(
                f"The branches of `ownloop.cond` returned {kind} and {twin} in one "
                "place. Both must return the same shapes and dtypes. Use "
                "`keras.ops.cast` or `keras.ops.broadcast_to` in one of them, or a "
                "number of the other's type, as 0.0 beside a float."
            )


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    try:
        keras.tree.assert_same_structure(one, other)
    except (TypeError, ValueError):
        return False
    return True


@final
@dataclass(frozen=True)
class _Kind:
    """A tensor's dtype and shape, with None for what is not known of it."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def may_be(self, other: "_Kind") -> bool:
        """Whether nothing that is known of the two differs."""
        if self.dtype != other.dtype:
            return False
        if self.shape is None or other.shape is None:
            return True
        return len(self.shape) == len(other.shape) and all(
            a == b or a is None or b is None
            for a, b in zip(self.shape, other.shape, strict=True)
        )

    def __str__(self) -> str:
        return self.dtype if self.shape is None else f"{self.dtype}{list(self.shape)}"


def _kind(leaf: Any) -> _Kind:
    if leaf is None:
        return _Kind("None", None)
    if not hasattr(leaf, "dtype"):
        leaf = keras.ops.convert_to_tensor(leaf)
    dtype = str(getattr(leaf.dtype, "name", leaf.dtype)).removeprefix("torch.")
    # TensorFlow may not know a tensor's rank before the step runs.
    known = getattr(leaf, "ndim", None) is not None
    return _Kind(dtype, tuple(leaf.shape) if known else None)
