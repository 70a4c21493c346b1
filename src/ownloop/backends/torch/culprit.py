"""The line of the user's code at which a step cannot be traced, in words.

What asks a tensor for its value is often a function of Keras: then that is named, too,
behind the line of the user's that led to it.
"""

import linecache
import os
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

_OURS: Final = str(Path(__file__).parents[2])
_LIBRARIES: Final = (_OURS + os.sep, sysconfig.get_path("stdlib") + os.sep, "<frozen ")
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

_LONGEST: Final = 72
"""Of a line of source, so many characters are shown."""


def culprit(places: Iterable[tuple[FrameType, int]], outermost: CodeType) -> str:
    """Returns where the user's code led to this, as ", at train.py:7: `float(x)`".

    Args:
        places: Frames with their present lines, the innermost first.
        outermost: The code that calls the step: what is further out is none of it.

    Returns:
        File, line and source; behind them the innermost function of a library that
        was called there, if one was. Empty where no line is the user's.
    """
    asking = ""
    for frame, line in places:
        if frame.f_code is outermost:
            break
        path = frame.f_code.co_filename
        if not _is_of_a_library(path):
            source = linecache.getline(path, line, frame.f_globals).strip()
            words = f": `{_short(source)}`" if source else ""
            return f", at {_from_here(path)}:{line}{words}{asking}"
        module = str(frame.f_globals.get("__name__", ""))
        # PyTorch is always on the way, and says nothing of who is at fault.
        if not asking and module.partition(".")[0] not in ("ownloop", "torch"):
            name = frame.f_code.co_qualname.partition(".<locals>")[0]
            asking = f", in {module}.{name}"
    return ""


def _is_of_a_library(path: str) -> bool:
    return path.startswith(_LIBRARIES) or any(part in path for part in _INSTALLED)


def _from_here(path: str) -> str:
    """Returns a path as one would write it in the folder that Python runs in."""
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here)


def _short(source: str) -> str:
    return source if len(source) <= _LONGEST else f"{source[: _LONGEST - 3]}..."
