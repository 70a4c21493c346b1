"""Consecutive steps of one program, and what they logged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from ownloop.backends.contract import ChunkValues
from ownloop.step import Kind, Logged


@final
@dataclass(frozen=True, eq=False)
class LoggedSteps:
    """What some consecutive steps logged.

    Attributes:
        logged: The names and kinds of the values.
        values: The values of every step, and those that are shown for the last.
        sizes: The examples in each batch.
        is_skipped: Whether the steps were undone; their values are kept all the same.
    """

    logged: Sequence[Logged]
    values: ChunkValues
    sizes: np.ndarray
    is_skipped: bool = False

    def bad_losses(self) -> dict[str, np.ndarray]:
        """Returns for each loss whether it is NaN or infinite, step by step.

        A loss is a scalar whose name is "loss" or ends so, such as "g/loss". Whatever
        else is logged may be NaN for good reasons.
        """
        kept = [e for e in self.logged if e.kind in (Kind.SCALAR, Kind.METRIC)]
        return {
            entry.name: ~np.isfinite(column.astype(np.float64))
            for entry, column in zip(kept, self.values.every, strict=True)
            if entry.kind is Kind.SCALAR and entry.name.endswith("loss")
        }

    def first_bad_loss(self) -> int | None:
        """Returns the first step with such a loss, counted from 0; None: there is none.

        Example:
            >>> losses = np.array([1.0, np.nan, np.inf])
            >>> values = ChunkValues((losses,), ())
            >>> logged = [Logged("loss", Kind.SCALAR)]
            >>> LoggedSteps(logged, values, np.ones(3)).first_bad_loss()
            1
        """
        places = [np.argmax(bad) for bad in self.bad_losses().values() if bad.any()]
        return int(min(places)) if places else None
