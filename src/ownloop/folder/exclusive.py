"""Locking an open file against other processes, in the way that the system has.

The lock ends with the process, however it ends. Knows descriptors and no paths.
"""

import errno
import importlib
import importlib.util
import os
import time
from typing import Any, Final


def _module(name: str) -> Any:
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


# Each system has only one of them, so neither can be imported by its name.
_UNIX: Final = _module("fcntl")
_WINDOWS: Final = _module("msvcrt")

_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

# Windows lets nobody read what is locked, so this lies far after the words.
_FAR: Final = 1 << 30


# A process that asks `is_claimed` has the lock for some microseconds, or for longer if
# it is held up just then. It must not be taken for one that keeps the lock.
_ATTEMPTS: Final = 11
_SECONDS_BETWEEN: Final = 0.01


def claim(file: int) -> bool:
    """Locks an open file for this process, within a tenth of a second or not at all.

    Returns:
        Whether it is locked now: False where the system or the folder has no locks.

    Raises:
        BlockingIOError: Somebody else has locked it.
        OSError: The system refuses for another reason.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _claim(file)
        except BlockingIOError:
            time.sleep(_SECONDS_BETWEEN)
    return _claim(file)


def is_claimed(file: int) -> bool:
    """Returns whether an open file is locked, or may be, as far as the system knows.

    To find out it locks the file for a moment; `claim` waits for that to pass.

    Args:
        file: The descriptor of a file that is open for reading.
    """
    try:
        if _UNIX is not None:
            _UNIX.flock(file, _UNIX.LOCK_SH | _UNIX.LOCK_NB)
            _UNIX.flock(file, _UNIX.LOCK_UN)
            return False
        if _WINDOWS is not None:
            _on_windows(file, _WINDOWS.LK_NBLCK)
            _on_windows(file, _WINDOWS.LK_UNLCK)
            return False
    except OSError:
        return True
    return True


def _claim(file: int) -> bool:
    if _UNIX is not None:
        try:
            _UNIX.flock(file, _UNIX.LOCK_EX | _UNIX.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        return True
    if _WINDOWS is not None:
        _on_windows(file, _WINDOWS.LK_NBLCK)
        return True
    return False


def _on_windows(file: int, verb: int) -> None:
    os.lseek(file, _FAR, os.SEEK_SET)
    try:
        _WINDOWS.locking(file, verb, 1)
    except OSError as error:
        raise BlockingIOError(error.errno, error.strerror) from error
    finally:
        os.lseek(file, 0, os.SEEK_SET)
