"""One process at a time in a run's folder.

Owns the lock of a run, which the system frees when its process ends, also after
kill -9. The file stays behind and means nothing: its words are only for messages.
"""

import os
import sys
import warnings
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, final

from ownloop.errors import FolderError
from ownloop.folder.exclusive import claim
from ownloop.folder.holder import Holder

_HELD: Final[dict[Path, "RunLock"]] = {}
"""The locks of this process: the system only knows that somebody has a lock."""


@final
class RunLock:
    """The right to write in a run's folder, held for as long as the run lives.

    Args:
        path: The file that stands for it. Nothing happens to it before `acquire`.

    Example:
        >>> old, new = RunLock("lock"), RunLock("lock")
        >>> old.acquire()
        >>> new.take_over()
        True
        >>> old.held, new.held
        (False, True)
        >>> new.release()
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        # Two paths of one folder are one lock. A lock that is a link is none of ours:
        # its target would be written over.
        folder, name = os.path.split(os.path.abspath(path))
        self._path = Path(os.path.realpath(folder), name)
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this lock is ours: not released, not taken over, not after a fork."""
        return self._file is not None

    def acquire(self) -> None:
        """Takes the lock now, or says who has it; does nothing if we hold it already.

        Where the system has no locks it warns, and goes on without one.

        Raises:
            FolderError: Another process has it, or another lock of this process, or
                the file cannot be written.
        """
        if self.held:
            return
        if self._path in _HELD:
            raise FolderError(
                f"{self._path.parent} is in use by another loop in this process "
                f"({os.getpid()}). Expected one loop at a time. Close that loop, or "
                "let this one take its place."
            )
        file = self._claim()
        self._file, _HELD[self._path] = file, self

    def take_over(self) -> bool:
        """Takes the lock, if need be from another lock of this same process.

        That one is not `held` any more, and in between the folder is never free. This
        is what happens when a cell of a notebook that makes a loop is run again.

        Returns:
            Whether another lock of this process had it.

        Raises:
            FolderError: Another process has it, or the file cannot be written.
        """
        other = _HELD.get(self._path)
        if other is not None and not other.is_in_place:
            other.release()  # the folder was deleted, and somebody made it again
            other = None
        if other is not None and other is not self:
            self._file, other._file = other._file, None
            if self.held:  # else a forgotten loop has let go of it just now
                _HELD[self._path] = self
                return True
        self.acquire()
        return False

    @property
    def is_in_place(self) -> bool:
        """Whether the file that we have locked is still the one at the path.

        It is not where the folder was deleted, and perhaps made again by another.
        """
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        return self._file is not None and os.path.samestat(now, os.fstat(self._file))

    def release(self) -> None:
        """Lets go of the lock; does nothing where it is not held."""
        file, self._file = self._file, None
        if file is not None:
            del _HELD[self._path]
            # An emptied file cannot be taken for a sign of life. It is not removed:
            # somebody may have it open to wait for it, and would lock a deleted file.
            with suppress(OSError):
                os.ftruncate(file, 0)
            _close(file)

    def _claim(self) -> int:
        """Opens and locks the file, and writes into it who we are."""
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            file = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise self._refusal(error) from error
        try:
            if not claim(file):
                warnings.warn(
                    f"{self._path.parent} cannot be locked: its system has no locks. "
                    "Expected to keep a second process out. See yourself that only "
                    "one run writes there.",
                    RuntimeWarning,
                    stacklevel=3,
                )
            os.ftruncate(file, 0)
            os.write(file, Holder.here().to_bytes())
        except BlockingIOError:
            _close(file)
            raise FolderError(
                f"{self._path.parent} is in use by {Holder.of(self._path)}. Expected "
                "one run at a time in a folder. Wait for that run, stop it, or choose "
                "another folder."
            ) from None
        except OSError as error:
            _close(file)
            raise self._refusal(error) from error
        except BaseException:
            _close(file)
            raise
        return file

    def _refusal(self, error: OSError) -> FolderError:
        return FolderError(
            f"{self._path} cannot be written: {error.strerror}. Expected a folder in "
            "which we may make files. Choose another, or see to its permissions."
        )

    def _forget(self) -> None:
        """Closes, after a fork, what the parent opened; the lock stays the parent's."""
        file, self._file = self._file, None
        if file is not None:
            _close(file)


def _close(file: int) -> None:
    """Closes a file, which unlocks it, also where the disk complains."""
    with suppress(OSError):
        os.close(file)


def _let_go() -> None:
    for lock in list(_HELD.values()):
        lock._forget()
    _HELD.clear()


# A child that inherits the open file would keep the lock when its parent is dead.
if sys.platform != "win32":  # which has no fork
    os.register_at_fork(after_in_child=_let_go)
