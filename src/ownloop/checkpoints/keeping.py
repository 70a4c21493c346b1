"""Which checkpoints to keep: the last few, and the best few.

Owns the choice, as a pure function of names and numbers. It deletes nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from ownloop.errors import CheckpointError
from ownloop.whole import whole_number


@final
@dataclass(frozen=True)
class Keep:
    """How many checkpoints to keep.

    Attributes:
        last: How many of the newest are kept, at least 1. With 2 or more there is one
            to fall back to when the newest is damaged.
        best: How many of those with the best value of `by` are kept beside them.
        by: The name of the value, such as `"val_loss"`; needed for `best`.
        highest: Whether a higher value is better.

    Raises:
        CheckpointError: A number is not possible, or only one of `best` and `by` is
            given.

    Example:
        >>> Keep(last=2, best=1, by="val_loss").highest
        False
    """

    last: int = 3
    best: int = 0
    by: str | None = None
    highest: bool = False

    def __post_init__(self) -> None:
        last, best = whole_number(self.last), whole_number(self.best)
        if last is None or best is None or last < 1 or best < 0:
            raise CheckpointError(
                f"Keep was given last={self.last!r} and best={self.best!r}. Expected "
                "whole numbers of at least 1 and at least 0. Keep one, or save no "
                "checkpoints at all."
            )
        if not (isinstance(self.by, str) if best else self.by is None):
            raise CheckpointError(
                f"Keep was given best={best} and by={self.by!r}. Expected both or "
                "neither. Name the value, as in Keep(best=1, by='val_loss')."
            )
        object.__setattr__(self, "last", last)
        object.__setattr__(self, "best", best)


def names_to_keep(
    names: Sequence[str], keep: Keep, values: Mapping[str, float] | None = None
) -> list[str]:
    """Returns the names to keep, in the order in which they were given.

    Of equal values the older one is the better: it was there first. A checkpoint
    without a value, or with NaN, is never among the best.

    Args:
        names: The names of all checkpoints, oldest first.
        keep: How many of them to keep.
        values: The value `keep.by` of each checkpoint that has one.

    Example:
        >>> values = {"step-1": 0.2, "step-2": 0.9, "step-3": 0.5}
        >>> names_to_keep(list(values), Keep(last=1, best=1, by="loss"), values)
        ['step-1', 'step-3']
    """
    values = values or {}
    sign = -1.0 if keep.highest else 1.0
    rated = [name for name in names if not math.isnan(values.get(name, math.nan))]
    rated.sort(key=lambda name: sign * values[name])
    kept = {*names[-keep.last :], *rated[: keep.best]}
    return [name for name in names if name in kept]
