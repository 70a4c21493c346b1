"""The folder of what is kept from one run to the next: data, compiled programs.

All of it can be had again, at the price of time: the folder may be deleted at any
moment. This file knows no framework, and imports none.
"""

import hashlib
import os
import platform
from pathlib import Path

from ownloop import machine

WORTH_KEEPING_SECONDS = 0.1
"""Finding a program that compiles faster than this takes as long as compiling it."""


def cache_folder() -> Path:
    """Returns the folder `OWNLOOP_CACHE`, or `~/.cache/ownloop`; it need not exist.

    Example:
        >>> cache_folder().is_absolute()
        True
    """
    chosen = os.environ.get("OWNLOOP_CACHE")
    folder = Path(chosen) if chosen else Path("~/.cache/ownloop")
    return folder.expanduser().absolute()


def compiled_folder(backend: str) -> Path:
    """Returns the folder for programs that a backend has compiled on this machine.

    A program is for one kind of processor, so each kind has a folder of its own, also
    where machines share a home.

    Example:
        >>> compiled_folder("jax").parts[-2]
        'jax'
    """
    return cache_folder() / backend / _processor()


def _processor() -> str:
    """Returns a short name for this kind of processor, with what it can do."""
    words = [platform.machine(), platform.processor(), *machine.features()]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
