"""Shows how far each pass is: a bar on a terminal, one line per pass elsewhere.

This file turns events into words and numbers; `displays` puts them on the screen.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO, final

from ownloop.counts import counted
from ownloop.events import (
    ChunkDone,
    EpochDone,
    Event,
    Failed,
    PassDone,
    Started,
    Stopped,
)
from ownloop.observers.displays import AbstractDisplay, Bar, display_for

_SHOWN_ON_A_BAR = 4


@final
@dataclass
class _Pass:
    """What was counted in a pass that is not finished.

    Its rate begins with the first chunk's end: an earlier process may have done most of
    its batches, and in the first chunk the step is compiled.
    """

    first: int
    batches: int
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Steps per second; None as long as it is not known."""
        if self.seconds <= 0:
            return None
        return (self.batches - self.first) / self.seconds


@final
class Progress:
    """Shows a bar for each running pass and leaves a line for each finished one.

    On a terminal the bar holds the epoch, the pass, the batches done, the means so far
    and the steps per second; what the user's loop prints appears above it. Anywhere
    else, in a file or a CI log, there are the lines only.

    Args:
        stream: Where to show it; None stands for `sys.stderr` at the first event.

    Example:
        >>> import sys
        >>> show = Progress(sys.stdout)
        >>> show(PassDone(
        ...     epoch=2, pass_name="val", step=100, values={"loss": 0.5}, seconds=1.25
        ... ))
        epoch 2 val: loss 0.5000, 1.2 s
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._display: AbstractDisplay | None = None
        self._epochs_total: int | None = None
        self._passes: dict[tuple[int | None, str], _Pass] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._epochs_total = event.epochs_total
            case ChunkDone():
                self._advance(event)
            case PassDone():
                self._finish(event)
            case EpochDone() | Stopped() | Failed():
                # A pass that was left in an unusual way must not leave its bar behind.
                self._passes.clear()
                self._open().close()

    def _open(self) -> AbstractDisplay:
        if self._display is None:
            self._display = display_for(self._stream or sys.stderr)
        return self._display

    def _advance(self, event: ChunkDone) -> None:
        key = (event.epoch, event.pass_name)
        if key in self._passes:
            passed = self._passes[key]
            passed.batches = event.batch
            passed.seconds += event.seconds
        else:
            passed = self._passes[key] = _Pass(event.batch, event.batch)
        self._epochs_total = event.epochs_total or self._epochs_total
        words = _values(event.mean, at_most=_SHOWN_ON_A_BAR)
        if passed.rate is not None:
            words.append(f"{passed.rate:,.0f} steps/s")
        bar = Bar(self._title(*key), event.batch, event.batches, "  ".join(words))
        self._open().show(key, bar)

    def _finish(self, event: PassDone) -> None:
        key = (event.epoch, event.pass_name)
        passed = self._passes.pop(key, None)
        words = _values(event.values)
        if passed is not None:
            words.append(counted(passed.batches, "batch", "batches"))
        words.append(f"{event.seconds:.1f} s")
        self._open().finish(key, f"{self._title(*key)}: {', '.join(words)}")

    def _title(self, epoch: int | None, name: str) -> str:
        if epoch is None:
            return name
        total = f"/{self._epochs_total}" if self._epochs_total else ""
        return f"epoch {epoch}{total} {name}"


def _values(values: Mapping[str, Any], at_most: int | None = None) -> list[str]:
    scalars = {}
    for name, value in values.items():
        try:
            scalars[name] = float(value)
        except (TypeError, ValueError):
            continue  # a confusion matrix, for example, does not fit on a line
    return [f"{name} {_number(value)}" for name, value in scalars.items()][:at_most]


def _number(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4f}"
    return f"{value:.3e}"
