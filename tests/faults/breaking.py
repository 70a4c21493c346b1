"""The `tiny` run on a disk that fails, in a child process.

The k-th call that changes the run's folder fails, once or with all that follow until
the process ends. A write has by then half happened. What SQLite would do is told by its
own errors at a statement; a limit on the size of files lets it find out by itself.
"""

import errno
import io
import os
import resource
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

from faults import tiny
from faults.digests import Digests
from faults.disks import Call
from faults.system import AbstractWatch, watched
from ownloop.checkpoints import writer

_OF_SQLITE = {
    errno.ENOSPC: ("database or disk is full", sqlite3.SQLITE_FULL),
    errno.EIO: ("disk I/O error", sqlite3.SQLITE_IOERR),
}


def play(folder: Path, settings: Mapping[str, Any], counts: Counter[str]) -> Digests:
    """Run it on a disk that fails, and digest what came with one that works again.

    Args:
        folder: the run's.
        settings: `error`, the name of an errno; `at`, which call fails, 0 for none;
            `sticky`, whether the others do then. Or `limit`, the most bytes of a file.
        counts: gets how many "call"s there were, and how many "failed".
    """
    if "limit" in settings:
        with _limit(settings["limit"]), _as_python_ends():
            run = tiny.run(folder)
        return tiny.digests(*run, folder)
    number = getattr(errno, settings["error"])
    watch = _Breaking(settings["at"], number, sticky=settings["sticky"], counts=counts)
    with watched(folder, watch), _as_python_ends():
        run = tiny.run(folder)
    return tiny.digests(*run, folder)


@contextmanager
def _as_python_ends() -> Iterator[None]:
    """Show what is kept for the end of Python, to which a child does not come."""
    with patch.object(writer, "atexit") as kept:
        yield
        for (check,), _ in kept.register.call_args_list:
            try:
                check()
            except Exception:
                traceback.print_exc()


@contextmanager
def _limit(size: int) -> Iterator[None]:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@final
class _Breaking(AbstractWatch):
    def __init__(
        self, at: int, number: int, *, sticky: bool, counts: Counter[str]
    ) -> None:
        self._at, self._number, self._sticky = at, number, sticky
        self._counts = counts

    def call(self, call: Call, act: Callable[[], Any]) -> Any:
        if not self._is_due():
            return act()
        if call.verb == "append":
            with io.open(call.path, "ab") as file:  # noqa: UP020 - the one that is not shown
                file.write(call.content[: len(call.content) // 2])
        if call.verb == "close":
            act()  # Linux closes the descriptor, whatever it says
        raise OSError(self._number, os.strerror(self._number), *self._path(call))

    def connect(self, path: Path, act: Callable[[], Any]) -> Any:
        if self._is_due():
            raise _error("unable to open database file", sqlite3.SQLITE_CANTOPEN)
        return act()

    def statement(
        self,
        connection: sqlite3.Connection,
        path: Path,
        words: str,
        act: Callable[[], Any],
    ) -> Any:
        if self._is_due():
            raise _error(*_OF_SQLITE[self._number])
        return act()

    def _is_due(self) -> bool:
        self._counts["call"] += 1
        count = self._counts["call"]
        due = self._at and (count >= self._at if self._sticky else count == self._at)
        self._counts["failed"] += bool(due)
        return bool(due)

    def _path(self, call: Call) -> tuple[str, ...]:
        # What is given a descriptor does not know the path.
        of_file = call.verb in ("append", "sync", "sync_folder", "truncate", "close")
        return () if of_file else (str(call.path),)


def _error(words: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error
