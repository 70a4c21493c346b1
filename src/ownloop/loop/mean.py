"""The mean of a pass: scalars weighted by examples, metrics by their running value."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from ownloop.backends.contract import ChunkValues
from ownloop.loop.logged_steps import LoggedSteps
from ownloop.loop.values import Values
from ownloop.resume.plain import pack, unpack
from ownloop.step import Kind, Logged


@final
class PassMean:
    """Takes in the values of steps and gives the mean over the pass so far.

    Sums are kept in double precision, so that the mean does not depend on how often
    it was looked at.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._examples = 0.0
        self._running: dict[str, Any] = {}
        self._names: dict[str, None] = {}

    def add(self, part: LoggedSteps) -> dict[str, np.ndarray]:
        """Takes in some steps; returns what each of them logged, by name.

        Skipped steps are left out of the mean.
        """
        weights = np.asarray(part.sizes, np.float64)
        if part.is_skipped:
            weights = weights[:0]
        self._examples += float(weights.sum())
        every, final_values = iter(part.values.every), iter(part.values.final)
        columns: dict[str, np.ndarray] = {}
        for entry in part.logged:
            if entry.kind is not Kind.SHOWN:
                self._names[entry.name] = None
            if entry.kind in (Kind.SCALAR, Kind.METRIC):
                column = columns[entry.name] = next(every)
                if entry.kind is Kind.SCALAR:
                    self._add_scalar(entry.name, column, weights)
                elif not part.is_skipped:
                    self._running[entry.name] = float(column[-1])
            else:
                value = next(final_values)
                if entry.kind is Kind.ARRAY and not part.is_skipped:
                    self._running[entry.name] = value
        return columns

    def _add_scalar(self, name: str, column: np.ndarray, weights: np.ndarray) -> None:
        # One step after the other, in order: a sum over a whole chunk at once would
        # round differently for other chunk lengths.
        total = self._sums.get(name, 0.0)
        for product in (column[: len(weights)].astype(np.float64) * weights).tolist():
            total += product
        self._sums[name] = total

    def state(self) -> dict[str, Any]:
        """Returns the sums as JSON, exactly; see `go_to`."""
        return {
            "sums": pack(self._sums),
            "examples": self._examples,
            "running": pack(self._running),
            "names": list(self._names),
        }

    def go_to(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._sums = unpack(state["sums"])
        self._examples = float(state["examples"])
        self._running = unpack(state["running"])
        self._names = dict.fromkeys(state["names"])

    def values(self) -> Values:
        """Returns the means, in the order in which the step logs them.

        NaN as long as every step was skipped.
        """
        examples = self._examples or math.nan
        means = {name: total / examples for name, total in self._sums.items()}
        known = means | self._running
        return Values({name: known.get(name, math.nan) for name in self._names})


def last_values(logged: Sequence[Logged], values: ChunkValues) -> Values:
    """Returns what the last of some steps logged."""
    every, final_values = iter(values.every), iter(values.final)
    last: dict[str, Any] = {}
    for entry in logged:
        if entry.kind in (Kind.SCALAR, Kind.METRIC):
            last[entry.name] = float(next(every)[-1])
        else:
            last[entry.name] = next(final_values)
    return Values(last)
