"""The words that `ownloop` understands, and the values that they become.

Whatever is wrong with a word alone is said here, with the value, what was expected and
what to write instead. What is wrong with the machine is `preflight`'s business.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import ownloop
from ownloop.cli.commands import (
    Command,
    Doctor,
    Job,
    ListRuns,
    ReplayStep,
    ShowRun,
    Train,
    VerifyRun,
)

BACKENDS: Final = ("jax", "tensorflow", "torch")


def parse(words: Sequence[str] | None = None) -> Command:
    """Turns words into a command, or ends the program as argparse does.

    Raises:
        SystemExit: A word is wrong, with code 2 and a message; or 0 after `--help`.

    Example:
        >>> parse(["mnist", "--classes", "0,1", "--backend", "jax"]).job.classes
        (0, 1)
    """
    found = vars(_parser().parse_args(words))
    name = found.pop("command")
    if name == "mnist":
        wanted = found.pop("backend")
        return Train(Job(**found), wanted)
    return _COMMANDS[name](**found)


_COMMANDS: Final[dict[str, Callable[..., Command]]] = {
    "doctor": Doctor,
    "runs": ListRuns,
    "show": ShowRun,
    "verify": VerifyRun,
    "replay": ReplayStep,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ownloop",
        description="Own your training loop: the demo, the doctor, and your runs.",
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
    _add_runs(commands.add_parser("runs", help="list the runs in a folder"))
    _add_show(commands.add_parser("show", help="print what is in a run's folder"))
    verify = commands.add_parser("verify", help="look at every byte of a run's folder")
    verify.add_argument("folder", type=Path, metavar="FOLDER", help="the run's folder")
    _add_replay(
        commands.add_parser("replay", help="run a step that was not finite once more")
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
    # A default is a word, too, and is read as the user's word is.
    digits = ",".join(str(digit) for digit in usual.classes)
    for flag, reader, default, metavar, words in (
        ("--epochs", count, usual.epochs, "N", "how often all examples are seen"),
        ("--batch-size", count, usual.batch_size, "N", "examples per step"),
        ("--learning-rate", rate, usual.learning_rate, "X", "Adam's step size"),
        ("--classes", classes, digits, "DIGITS", "the digits to tell apart"),
        ("--every", count, usual.every, "N", "batches between two printed lines"),
        ("--seed", seed, usual.seed, "N", "of the shuffle and of the weights"),
        ("--out", Path, usual.out, "DIR", "the run's folder; history.csv, .json, .png"),
    ):
        parser.add_argument(
            flag,
            type=reader,
            default=default,
            metavar=metavar,
            help=f"{words} (%(default)s)",
        )
    parser.add_argument(
        "--resume",
        nargs="?",
        type=inexact,
        const=True,
        default=usual.resume,
        metavar="inexact",
        help="continue the run that is in DIR, to the same bits; with the word inexact "
        "also where versions, threads or code differ",
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=ListRuns().folder,
        metavar="DIR",
        help="where they are, at most two levels below (%(default)s)",
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the run's folder")
    parser.add_argument(
        "--log", action="store_true", help="print log.txt, all of it and nothing else"
    )
    parser.add_argument(
        "--history",
        type=table_file,
        metavar="FILE",
        help="write the history to FILE.csv, a row for each epoch, or to FILE.json, "
        "all of it",
    )
    parser.add_argument(
        "--plot", type=picture_file, metavar="FILE", help="draw the history to FILE.png"
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the run's folder")
    parser.add_argument(
        "--step",
        type=count,
        metavar="N",
        help="the step's number, as `ownloop show` gives it (the latest)",
    )


def backend(word: str) -> str:
    """Reads the name of a backend."""
    if word not in BACKENDS:
        raise argparse.ArgumentTypeError(
            f"{word!r} is no backend that ownloop knows; expected one of "
            f"{', '.join(BACKENDS)}; write, for example, --backend jax"
        )
    return word


def count(word: str) -> int:
    """Reads a whole number from 1 up."""
    number = _whole(word)
    if number is None or number < 1:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a whole number from 1 up; write, for example, 10"
        )
    return number


def seed(word: str) -> int:
    """Reads a seed: what both NumPy and Keras accept."""
    number = _whole(word)
    if number is None or not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a whole number from 0 to {2**32 - 1}; write, for "
            "example, 0"
        )
    return number


def rate(word: str) -> float:
    """Reads a learning rate."""
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
    """Reads the digits to tell apart."""
    found = [_whole(part) for part in word.split(",")]
    digits = tuple(digit for digit in found if digit is not None and 0 <= digit < 10)
    if len(digits) != len(found) or len(set(digits)) != len(digits) or len(digits) < 2:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected two or more different digits from 0 to 9 with "
            "commas between them; write, for example, 0,1,2"
        )
    return digits


def inexact(word: str) -> str:
    """Reads the one word that may follow `--resume`."""
    if word != "inexact":
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected nothing, or the word inexact; write --resume, and "
            "the folder after --out"
        )
    return word


def table_file(word: str) -> Path:
    """Reads the name of a file for numbers."""
    return _file(word, (".csv", ".json"))


def picture_file(word: str) -> Path:
    """Reads the name of a file for a picture."""
    return _file(word, (".png", ".svg", ".pdf"))


def _file(word: str, endings: tuple[str, ...]) -> Path:
    if Path(word).suffix.lower() not in endings:
        raise argparse.ArgumentTypeError(
            f"got {word!r}; expected a name with the ending {' or '.join(endings)}; "
            f"write, for example, history{endings[0]}"
        )
    return Path(word)


def _whole(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None
