"""The command ``ownloop``: words on a command line become calls.

This room parses, checks all that can be checked before the first step, chooses the
backend, and prints. Nothing in it imports Keras before the backend is chosen: Keras
reads that choice once, when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ownloop.cli import doctor, preflight
from ownloop.cli.arguments import Options, parse
from ownloop.errors import OwnloopError

__all__ = ["main"]

_WRONG_USE = 2  # what argparse gives a word that it does not know, too
_INTERRUPTED = 130  # what a shell reports after Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        words: the words after ``ownloop``; None stands for those of this process.

    Returns:
        0 if all went well; 1 if the doctor found no backend that works; 2 if something
        was asked for that cannot be done; 130 after Ctrl-C.
    """
    options = parse(words)
    try:
        if options.job is None:
            return doctor.report()
        return _mnist(options)
    except OwnloopError as error:
        print(f"ownloop: error: {error}", file=sys.stderr)
        return _WRONG_USE
    except KeyboardInterrupt:
        print("\nownloop: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _mnist(options: Options) -> int:
    assert options.job is not None
    backend = preflight.choose_backend(options.backend)
    preflight.require_package("matplotlib", extra="plots", purpose="draw history.png")
    preflight.require_writable(options.job.out)
    preflight.use_backend(backend)
    # Not before this line: the job imports Keras.
    from ownloop.cli.mnist import train

    train(options.job)
    return 0
