"""What the two branches of `ownloop.cond` must have in common, on every backend."""

from typing import Any

import keras

from ownloop.errors import StepError


def check_alike(one: Any, other: Any) -> None:
    """Refuses branches that returned different structures.

    Raises:
        StepError: One returned None and the other did not, or their structures differ.

    Example:
        >>> check_alike({"a": 1}, {"a": 2})
    """
    if not _alike(one, other):
        raise StepError(
            "The branches of `ownloop.cond` returned different structures: "
            f"{one!r} and {other!r}. Both must return the same, and without "
            "`otherwise` that is None. Return the same structure from both, or assign "
            "variables and return nothing."
        )


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    try:
        keras.tree.assert_same_structure(one, other)
    except (TypeError, ValueError):
        return False
    return True
