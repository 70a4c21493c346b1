"""The words that ``ownloop`` understands, and the values that they become.

Whatever is wrong with a word alone is said here, with the value, what was expected and
what to write instead. What is wrong with the machine is ``preflight``'s business.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import ownloop

BACKENDS: Final = ("jax", "tensorflow", "torch")


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
        out: the folder for history.csv, history.json and history.png.
    """

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-4
    classes: tuple[int, ...] = tuple(range(10))
    every: int = 300
    seed: int = 0
    out: Path = Path("runs/mnist")


@final
@dataclass(frozen=True)
class Options:
    """One command: the job to train, or None for the doctor."""

    job: Job | None = None
    backend: str | None = None


def parse(words: Sequence[str] | None = None) -> Options:
    """Turn words into options, or end the program as argparse does.

    Raises:
        SystemExit: with code 2 and a message for a wrong word, 0 after ``--help``.

    Example:
        >>> parse(["mnist", "--classes", "0,1", "--backend", "jax"]).job.classes
        (0, 1)
    """
    found = vars(_parser().parse_args(words))
    if found.pop("command") == "doctor":
        return Options()
    backend = found.pop("backend")
    return Options(Job(**found), backend)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ownloop", description="Own your training loop: the demo and the doctor."
    )
    parser.add_argument(
        "--version", action="version", version=f"ownloop {ownloop.__version__}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="print versions, backends, devices, threads")
    _add_job(
        commands.add_parser(
            "mnist",
            help="train a classifier of handwritten digits with a loop of one's own",
        )
    )
    return parser


def _add_job(parser: argparse.ArgumentParser) -> None:
    usual = Job()
    parser.add_argument(
        "--backend",
        type=backend,
        metavar="NAME",
        help=f"one of {', '.join(BACKENDS)} (if not given: KERAS_BACKEND, or else the "
        "first of these that is installed)",
    )
    # A default in the form of a word goes through the same reader as the user's word.
    digits = ",".join(str(digit) for digit in usual.classes)
    for flag, reader, default, metavar, words in (
        ("--epochs", count, usual.epochs, "N", "how often all examples are seen"),
        ("--batch-size", count, usual.batch_size, "N", "examples per step"),
        ("--learning-rate", rate, usual.learning_rate, "X", "Adam's step size"),
        ("--classes", classes, digits, "DIGITS", "the digits to tell apart"),
        ("--every", count, usual.every, "N", "batches between two printed lines"),
        ("--seed", seed, usual.seed, "N", "of the shuffle and of the weights"),
        ("--out", Path, usual.out, "DIR", "for history.csv, .json and .png"),
    ):
        parser.add_argument(
            flag,
            type=reader,
            default=default,
            metavar=metavar,
            help=f"{words} (%(default)s)",
        )


def backend(word: str) -> str:
    """Read the name of a backend."""
    if word not in BACKENDS:
        raise argparse.ArgumentTypeError(
            f"{word!r} is no backend that ownloop knows; expected one of "
            f"{', '.join(BACKENDS)}; write, for example, --backend jax"
        )
    return word


def count(word: str) -> int:
    """Read a whole number from 1 up."""
    number = _whole(word)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a whole number from 1 up; write, for example, 10"
        )
    return number


def seed(word: str) -> int:
    """Read a seed: what both NumPy and Keras accept."""
    number = _whole(word)
    if number is None or not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a whole number from 0 to {2**32 - 1}; write, for "
            "example, 0"
        )
    return number


def rate(word: str) -> float:
    """Read a learning rate."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not (0 < number < math.inf):
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a finite number above 0; write, for example, 1e-4"
        )
    return number


def classes(word: str) -> tuple[int, ...]:
    """Read the digits to tell apart."""
    found = [_whole(part) for part in word.split(",")]
    digits = tuple(digit for digit in found if digit is not None and 0 <= digit < 10)
    if len(digits) != len(found) or len(set(digits)) != len(digits) or len(digits) < 2:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected two or more different digits from 0 to 9 with "
            "commas between them; write, for example, 0,1,2"
        )
    return digits


def _whole(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None
