"""Moments of a run, counted, and a signal to its own process in one of them.

The library knows nothing of this: its functions are wrapped from outside, in a child
process that does nothing else. A moment lies before and after each of their calls.
"""

import builtins
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

from ownloop.backends import current
from ownloop.checkpoints import Store
from ownloop.checkpoints.disk import RealDisk
from ownloop.checkpoints.writer import Writer
from ownloop.folder import Log
from ownloop.history.database import Database
from ownloop.loop import continuation, saving
from ownloop.loop.continuation import Continuation
from ownloop.loop.run_files import RunFiles
from ownloop.loop.runner import Runner
from ownloop.step import StepCall

_DISK = (
    "make_folder",
    "create",
    "append",
    "sync",
    "close",
    "rename",
    "sync_folder",
    "list",
    "read",
    "remove_file",
    "remove_folder",
)
_WRAPPED: dict[str, tuple[tuple[Any, str], ...]] = {
    "step": ((Runner, "advance"),),
    "compile": ((type(current()), "compile"),),
    "trace": ((StepCall, "__call__"),),
    "save": ((Writer, "submit"), (Store, "commit"), (saving, "capture")),
    "prune": ((Store, "prune"),),
    "validate": ((Runner, "restore"),),
    "history": ((Database, "append"), (Database, "mark")),
    "log": ((Log, "write"), (Log, "sync")),
    "resume": (
        (RunFiles, "open"),
        (Continuation, "_return"),
        (continuation, "restore"),
        (continuation, "assign"),
        (Database, "cut_back"),
        (Database, "load"),
        (Log, "cut_back"),
        (Store, "newest"),
    ),
    "disk": tuple((RealDisk, verb) for verb in _DISK),
}
KINDS = tuple(_WRAPPED)
"""What a moment may belong to; "any" stands for all of them."""

_CALLS = (
    "open",
    "write",
    "fsync",
    "ftruncate",
    "replace",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
    "close",
)


@final
class Moments:
    """Counts moments by kind, and acts in one.

    Args:
        kind: one of `KINDS`, "any", "call" for calls of the file system, or "reached"
            for the step that the run has come to, however many moments it took.
        at: in which moment of that kind, from 1, or at which step; 0 for never.
        act: what is done there.
        settled: whether each save is on the disk before the run goes on.
    """

    def __init__(
        self, kind: str, at: int, act: Callable[[], object], *, settled: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._kind, self._at, self._act = kind, at, act
        self._settled = settled

    def pass_by(self, kind: str) -> None:
        """Count a moment; act if it is the one."""
        for name in (kind, "any"):
            self.counts[name] += 1
            if name == self._kind and self.counts[name] == self._at:
                self._act()

    def come_to(self, step: int) -> None:
        """Take note of how far the run is; act if it was to come so far."""
        if self._kind == "reached" and step >= self._at:
            self._kind = "done"
            self._act()

    def wrap(self) -> None:
        """Wrap the library's functions, for the rest of this process."""
        if self._settled:
            submit = Writer.submit

            def submit_and_wait(writer: Writer, checkpoint: Any) -> None:
                submit(writer, checkpoint)
                writer.wait()

            Writer.submit = submit_and_wait
        for kind, places in _WRAPPED.items():
            for owner, name in places:
                setattr(owner, name, self._around(getattr(owner, name), kind))

    def wrap_calls(self) -> None:
        """Wrap the system's calls that change files, and SQLite's statements.

        What `os.write` is given is cut in halves, so that a write may be torn.
        """
        for name in _CALLS:
            setattr(os, name, self._before(getattr(os, name)))
        whole = os.write

        def write(file: int, content: Any) -> int:
            half = len(content) // 2
            return whole(file, content[:half] if half else content)

        os.write = write
        builtins.open = self._before(builtins.open)
        moments = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                moments.pass_by("call")
                return super().execute(*arguments)

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                moments.pass_by("call")
                return super().executemany(*arguments)

        plain = sqlite3.connect

        def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
            return plain(*arguments, **{"factory": Connection, **named})

        sqlite3.connect = connect

    def _around(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self._between(kind):
                return function(*arguments, **named)

        return wrapped

    @contextmanager
    def _between(self, kind: str) -> Iterator[None]:
        self.pass_by(kind)
        yield
        self.pass_by(kind)

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.pass_by("call")
            return function(*arguments, **named)

        return wrapped


def die() -> None:
    """End this process as the system does it: without a last word."""
    os.kill(os.getpid(), signal.SIGKILL)


def asking(name: str, times: int, told: Callable[[], object]) -> Callable[[], None]:
    """Give an act that sends signals to this process, and tells when.

    Once more behind them, where another thread sends them: the run goes on meanwhile.
    """

    def act() -> None:
        told()
        for _ in range(times):
            os.kill(os.getpid(), signal.Signals[name])
        if threading.current_thread() is not threading.main_thread():
            told()

    return act
