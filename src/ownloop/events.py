"""What happened: the seven frozen records that a loop tells its observers.

    Started ─ ((ChunkDone* ─ PassDone)* ─ EpochDone)* ─ Stopped | Failed

A `Notice` comes at any time. A pass in the body of another one tells of itself between
the other's chunks; a validation outside of epochs does without `Started` and `Stopped`.
After a `Failed` what was open may still be told to be done, and where the user's code
has caught the error, the loop goes on.

An observer is any callable that takes one of these and returns nothing. It shows, it
never steers: nothing that an observer does changes what is computed. This file holds
data only, and knows no framework: values are floats or NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

Values: TypeAlias = Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class Started:
    """A run begins, or goes on.

    Attributes:
        epochs_total: The total that was asked for; None for a loop without a number.
        backend: "jax", "tensorflow" or "torch".
        epoch: Epochs already finished.
        step: Steps already done.
    """

    epochs_total: int | None
    backend: str
    epoch: int = 0
    step: int = 0


@final
@dataclass(frozen=True)
class Notice:
    """One sentence that a person should read now, such as "compiling train_step"."""

    text: str


@final
@dataclass(frozen=True, kw_only=True)
class ChunkDone:
    """The compiled program came back: at a chunk's end, and each second within it.

    Attributes:
        epoch: The epoch's number, from 1; None outside any epoch.
        epochs_total: How many epochs there will be; None where nobody said.
        pass_name: "train", "val" or the name that the user gave.
        batch: Batches done in this pass.
        batches: Batches that the pass will have; None where the data do not say.
        step: Steps done in the run.
        seconds: How long it has been away.
        looks: Whether the user's code is about to look; false within a chunk.
        last: The last batch's values.
        mean: The weighted means over the pass so far.
    """

    epoch: int | None
    epochs_total: int | None
    pass_name: str
    batch: int
    batches: int | None
    step: int
    seconds: float
    looks: bool = True
    last: Values
    mean: Values


@final
@dataclass(frozen=True, kw_only=True)
class PassDone:
    """A pass over data is finished or was left early.

    Attributes:
        epoch: The epoch's number, from 1; None outside any epoch.
        pass_name: "train", "val" or the name that the user gave.
        step: Steps done in the run.
        values: What the history records for the pass.
        seconds: How long the pass took, the user's own code included.
    """

    epoch: int | None
    pass_name: str
    step: int
    values: Values
    seconds: float


@final
@dataclass(frozen=True, kw_only=True)
class EpochDone:
    """An epoch's body is finished and its row is in the history.

    Attributes:
        number: The epoch's number, from 1.
        step: Steps done in the run.
        row: History keys, such as "val_loss", with this epoch's values.
        seconds: How long the epoch took, the user's own code included.
    """

    number: int
    step: int
    row: Values
    seconds: float


@final
@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended without an error; `reason` says why, in words."""

    reason: str
    step: int
    epoch: int


@final
@dataclass(frozen=True, kw_only=True)
class Failed:
    """An exception is on its way to the user, who gets it unchanged."""

    error: BaseException
    step: int
    epoch: int


Event: TypeAlias = (
    Started | Notice | ChunkDone | PassDone | EpochDone | Stopped | Failed
)
Observer: TypeAlias = Callable[[Event], None]
