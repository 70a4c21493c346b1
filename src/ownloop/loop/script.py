"""The script that runs in this process, and how it was called."""

import sys
from pathlib import Path


def command_of_this_process() -> list[str] | None:
    """Returns the words after Python's own name that run this script once more.

    None where there is no file that could be run again, as in a notebook.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None or not Path(script).exists():
        return None
    return sys.orig_argv[1:]
