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
    """The wish to know what is installed and what works."""


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """The handwritten-digit job, as the user asked for it.

    Attributes:
        epochs: How often all training examples are seen.
        batch_size: The examples of each step.
        learning_rate: Adam's step size.
        classes: The digits to tell apart; output 0 stands for the first, and so on.
        every: The batches between two printed lines; the first follows the first batch.
        seed: The seed of the shuffle and of the weights.
        out: The run's folder, which also gets history.csv, history.json, history.png.
        resume: As in `Loop`, whether to continue a run that is in the folder: to the
            same bits, or "inexact" where something differs; else the run is refused.
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
    """The wish to do the job; without a backend, one is chosen."""

    job: Job
    backend: str | None = None


@final
@dataclass(frozen=True)
class ListRuns:
    """The wish to know which runs are in a folder, or below it."""

    folder: Path = Path("runs")


@final
@dataclass(frozen=True)
class ShowRun:
    """The wish to know what is in a run's folder, or to do only what is set here.

    Attributes:
        folder: The run's folder.
        log: Whether to print the whole log.
        history: The file to write the history to, which ends with .csv or .json.
        plot: The file to draw the history to.
    """

    folder: Path
    log: bool = False
    history: Path | None = None
    plot: Path | None = None


@final
@dataclass(frozen=True)
class VerifyRun:
    """The wish to check every byte of a run's folder."""

    folder: Path


@final
@dataclass(frozen=True)
class ReplayStep:
    """The wish to run a step that was not finite once more.

    Attributes:
        folder: The run's folder.
        step: Which step; None stands for the latest.
    """

    folder: Path
    step: int | None = None


Command: TypeAlias = Doctor | Train | ListRuns | ShowRun | VerifyRun | ReplayStep
