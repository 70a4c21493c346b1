"""The command `ownloop`: words on a command line become calls.

This room parses, checks all that can be checked before the first step, chooses the
backend, and prints. Nothing in it imports Keras before the backend is chosen: Keras
reads that choice once, when it is imported. What only looks at runs never does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ownloop.cli import preflight
from ownloop.cli.arguments import parse
from ownloop.cli.commands import (
    Command,
    Doctor,
    ListRuns,
    ReplayStep,
    ShowRun,
    Train,
    VerifyRun,
)
from ownloop.errors import OwnloopError

__all__ = ["main"]

_WRONG_USE = 2  # what argparse gives a word that it does not know, too
_INTERRUPTED = 130  # what a shell reports after Ctrl-C
_NO_READER = 141  # and after SIGPIPE


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        words: The words after `ownloop`; None stands for those of this process.

    Returns:
        0 if all went well; 1 if something that was looked at is not well: no backend
        works, or a run is damaged; 2 if something was asked for that cannot be done;
        130 after Ctrl-C; 141 if whoever read what is printed has stopped reading.
    """
    command = parse(words)
    try:
        code = _run(command)
        # Not first at Python's end, which does not know what a reader's leaving means.
        sys.stdout.flush()
        return code
    except OwnloopError as error:
        print(f"ownloop: error: {error}", file=sys.stderr)
        return _WRONG_USE
    except KeyboardInterrupt:
        hint = ""
        if isinstance(command, Train):
            hint = f"; with --resume the run in {command.job.out} goes on"
        print(f"\nownloop: interrupted{hint}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # As in `ownloop show runs/a --log | head`. Python would complain once more
        # when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER


def _run(command: Command) -> int:
    # Each imports what it needs and no more: a doctor must work on a machine on which
    # NumPy is broken, and nobody who lists runs wants to wait for a framework.
    match command:
        case Doctor():
            from ownloop.cli import doctor

            return doctor.report()
        case Train():
            return _train(command)
    preflight.require_sqlite()
    match command:
        case ListRuns(folder):
            from ownloop.cli import runs

            return runs.report(folder)
        case ShowRun():
            if command.plot is not None:
                preflight.require_package("matplotlib", extra="plots", purpose="draw")
            from ownloop.cli import show

            return show.report(command)
        case VerifyRun(folder):
            from ownloop.cli import verify

            return verify.report(folder)
        case ReplayStep():
            from ownloop.cli import replay

            return replay.report(command)


def _train(command: Train) -> int:
    job = command.job
    backend = preflight.choose_backend(command.backend)
    preflight.require_package("matplotlib", extra="plots", purpose="draw history.png")
    preflight.require_sqlite()
    preflight.require_writable(job.out)
    from ownloop.cli import job_folder
    from ownloop.folder import ReplayRequest

    if ReplayRequest.of() is None and job_folder.is_finished(job):
        job_folder.tell_finished(job)
        return 0
    preflight.use_backend(backend)
    # Not before this line: the job imports Keras.
    from ownloop.cli.mnist import train

    train(job)
    return 0
