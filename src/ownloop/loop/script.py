"""The script that runs in this process."""

import sys
from pathlib import Path


def script_of_this_process() -> str | None:
    """Returns the file that could be run again; None where there is none.

    As in a notebook, or where code was given on the command line.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    return script if script is not None and Path(script).exists() else None


def module_of_this_process() -> str | None:
    """Returns the name that ``python -m`` was given; None where a file was named."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return None if spec is None else str(spec.name)
