"""What the command line can be asked for: one frozen value for each command.

Data only: `arguments` makes these values from words, and `main` does what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final


@final
@dataclass(frozen=True)
class Doctor:
    """Say what is installed and what works."""


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """The handwritten-digit job, as the user asked for it.

    Attributes:
        epochs: how often all training examples are seen.
        batch_size: examples per step.
        learning_rate: Adam's step size.
        classes: the digits to tell apart; output 0 stands for the first, and so on.
        every: batches between two printed lines, the first after the first batch.
        seed: of the shuffle and of the weights.
        out: the run's folder, which also gets history.csv, history.json, history.png.
        resume: as in `Loop`, whether to continue a run that is in the folder: to the
            same bits, or "inexact" where something differs; else it is refused.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-4
    classes: tuple[int, ...] = tuple(range(10))
    every: int = 300
    seed: int = 0
    out: Path = Path("runs/mnist")
    resume: bool | str = False


@final
@dataclass(frozen=True)
class Train:
    """Do the job; None stands for a backend that is found out."""

    job: Job
    backend: str | None = None


@final
@dataclass(frozen=True)
class ListRuns:
    """Say which runs are in a folder, or below it."""

    folder: Path = Path("runs")


@final
@dataclass(frozen=True)
class ShowRun:
    """Say what is in a run's folder; with one of the wishes, do only what it says.

    Attributes:
        folder: the run's folder.
        log: print the whole log.
        history: the file to write the history to, which ends with .csv or .json.
        plot: the file to draw the history to.
    """

    folder: Path
    log: bool = False
    history: Path | None = None
    plot: Path | None = None


@final
@dataclass(frozen=True)
class VerifyRun:
    """Look at every byte of a run's folder."""

    folder: Path


@final
@dataclass(frozen=True)
class ReplayStep:
    """Run a step that was not finite once more.

    Attributes:
        folder: the run's folder.
        step: which step; None stands for the latest.
    """

    folder: Path
    step: int | None = None


Command: TypeAlias = Doctor | Train | ListRuns | ShowRun | VerifyRun | ReplayStep
