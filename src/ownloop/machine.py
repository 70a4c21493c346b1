"""What this machine is: its processors, and the C++ compiler on it.

Asks the system and keeps nothing. This file knows no framework, and imports none.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DESCRIPTION: Final = Path("/proc/cpuinfo")  # of each processor, on Linux
_MAKE: Final = "CPU implementer"  # on ARM, where models have numbers for names
_MODEL: Final = "CPU part"


def processor() -> str:
    """Returns the model of this machine's processors, of all where there are several.

    Example:
        >>> processor() == processor()
        True
    """
    models, make = set(), ""
    for name, value in _described():
        if name == "model name":
            return value
        if name == _MAKE:
            make = value
        elif name == _MODEL:
            models.add(f"implementer {make} part {value}")
    return ", ".join(sorted(models)) or platform.processor()


def features() -> list[str]:
    """Returns what compilers go by: each such line of Linux' description once."""
    telling = ("flags", "Features", _MAKE, _MODEL)
    return sorted({line for line in _lines() if line.startswith(telling)})


def usable_processors() -> int:
    """Returns how many processors this process may use, out of the machine's.

    Example:
        >>> usable_processors() > 0
        True
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compiler() -> str | None:
    """Returns the C++ compiler that PyTorch uses on this machine, if it has one."""
    return shutil.which(compiler_name())


def compiler_name() -> str:
    """Returns the name under which PyTorch looks for it; an empty `CXX` names none."""
    usual = "clang++" if sys.platform == "darwin" else "g++"
    return os.environ.get("CXX", usual)


def _described() -> Iterator[tuple[str, str]]:
    for line in _lines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _lines() -> list[str]:
    if not _DESCRIPTION.exists():
        return []
    return _DESCRIPTION.read_text(errors="replace").splitlines()
