"""Locking an open file against other processes, in the way that the system has.

The lock ends with the process, however it ends. Knows descriptors and no paths.
"""

import errno
import importlib
import importlib.util
import os
from typing import Any, Final


def _module(name: str) -> Any:
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


# Of each system only one is there, so neither can be imported by its name.
_UNIX: Final = _module("fcntl")
_WINDOWS: Final = _module("msvcrt")

_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

# Windows keeps others from reading what is locked, so this is far behind the words.
_FAR: Final = 1 << 30


def claim(file: int) -> bool:
    """Lock an open file for this process, at once or not at all.

    Returns:
        Whether it is locked now: False where the system or the folder has no locks.

    Raises:
        BlockingIOError: somebody else has locked it.
        OSError: the system refuses for another reason.
    """
    if _UNIX is not None:
        try:
            _UNIX.flock(file, _UNIX.LOCK_EX | _UNIX.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        return True
    if _WINDOWS is not None:
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            _WINDOWS.locking(file, _WINDOWS.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from error
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True
    return False
