"""The system's calls that change a folder, each shown to somebody who may refuse it.

For runs, to which no disk can be handed: the functions of `os`, `open` and SQLite's
statements are replaced in this process for a while. Calls about other folders, calls
that only read, and those about `lock` where it is left out, go their way.
"""

import builtins
import io
import os
import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

from faults.disks import Call

_WRITING = os.O_WRONLY | os.O_RDWR
_NAMELESS = getattr(os, "O_TMPFILE", 0)
_CHANGE = re.compile(r"BEGIN IMM|INSERT|REPLACE|DELETE|COMMIT|CREATE|PRAGMA journal_mo")

RUN_FILES = ("run.json", "log.txt", "history.db", "checkpoints", "nonfinite", "lock")
"""What a run writes in its folder; `history.json` and the like are the user's."""


class AbstractWatch(ABC):
    """Somebody who is asked before each call, and carries it out."""

    @abstractmethod
    def call(self, call: Call, act: Callable[[], Any]) -> Any:
        """Carry out a call of the system; the verbs "open", "probe" change nothing."""

    @abstractmethod
    def connect(self, path: Path, act: Callable[[], Any]) -> Any:
        """Open a database for writing, which perhaps makes the file."""

    @abstractmethod
    def statement(
        self,
        connection: sqlite3.Connection,
        path: Path,
        words: str,
        act: Callable[[], Any],
    ) -> Any:
        """Carry out a statement of SQL that changes something, or begins or ends it."""


@contextmanager
def watched(
    folder: Path, watch: AbstractWatch, *, names: tuple[str, ...] = RUN_FILES
) -> Iterator[None]:
    """Show a watch the calls of this process that change a run's folder.

    Args:
        folder: the run's.
        watch: is asked.
        names: the files and folders in it that are meant, also unfinished ones.
    """
    system = _System(folder, watch, names)
    with ExitStack() as stack:
        for name in (
            *("open", "write", "fsync", "ftruncate", "replace", "rename"),
            *("mkdir", "unlink", "rmdir", "close"),
        ):
            stack.enter_context(patch.object(os, name, getattr(system, name)))
        stack.enter_context(patch.object(builtins, "open", system.open_file))
        stack.enter_context(patch.object(sqlite3, "connect", system.connect))
        yield


class _System:
    def __init__(
        self, folder: Path, watch: AbstractWatch, names: tuple[str, ...]
    ) -> None:
        self.folder = folder.absolute()
        self.watch = watch
        self._names = names
        self._paths: dict[int, Path] = {}
        self._os = {name: getattr(os, name) for name in dir(os)}
        self._open, self._connect = builtins.open, sqlite3.connect

    def ours(self, path: Any) -> Path | None:
        """Give an absolute path, if it is one of a run's; None for all others."""
        if not isinstance(path, str | os.PathLike):
            return None
        found = Path(os.fspath(path)).absolute()  # type: ignore[arg-type]
        if found == self.folder or found in self.folder.parents:
            return found
        if not found.is_relative_to(self.folder):
            return None
        first = found.relative_to(self.folder).parts[0]
        return found if any(name in first for name in self._names) else None

    def forget(self, file: int) -> None:
        self._paths.pop(file, None)

    # ---------------------------------------------------------------- functions of os

    def open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        real = self._os["open"]
        ours = self.ours(path)
        if ours is None:
            return real(path, flags, *rest, **named)
        if _NAMELESS and flags & _NAMELESS == _NAMELESS:
            verb = "probe"
        elif flags & os.O_CREAT and not ours.exists():
            verb = "create"
        elif flags & _WRITING:
            verb = "open"
        else:
            file = real(path, flags, *rest, **named)
            self._paths[file] = ours
            return file
        file = self.watch.call(
            Call(verb, ours), lambda: real(path, flags, *rest, **named)
        )
        if verb != "probe":
            self._paths[file] = ours
        return file

    def write(self, file: int, content: Any) -> int:
        def act() -> int:
            return self._os["write"](file, content)

        path = self._paths.get(file)
        if path is None:
            return act()
        return self.watch.call(Call("append", path, content=bytes(content)), act)

    def fsync(self, file: int) -> None:
        path = self._paths.get(file)
        if path is None:
            return self._os["fsync"](file)
        verb = "sync_folder" if path.is_dir() else "sync"
        return self.watch.call(Call(verb, path), lambda: self._os["fsync"](file))

    def ftruncate(self, file: int, length: int) -> None:
        def act() -> None:
            self._os["ftruncate"](file, length)

        path = self._paths.get(file)
        if path is None:
            return act()
        return self.watch.call(Call("truncate", path, size=length), act)

    def close(self, file: int) -> None:
        path = self._paths.pop(file, None)
        if path is None:
            return self._os["close"](file)
        return self.watch.call(Call("close", path), lambda: self._os["close"](file))

    def _move(self, name: str, source: Any, target: Any, named: Any) -> None:
        def act() -> None:
            self._os[name](source, target, **named)

        before, after = self.ours(source), self.ours(target)
        if before is None or after is None:
            return act()
        return self.watch.call(Call("rename", before, after), act)

    def replace(self, source: Any, target: Any, **named: Any) -> None:
        self._move("replace", source, target, named)

    def rename(self, source: Any, target: Any, **named: Any) -> None:
        self._move("rename", source, target, named)

    def _name(self, name: str, verb: str, path: Any, rest: Any, named: Any) -> None:
        def act() -> None:
            self._os[name](path, *rest, **named)

        ours = self.ours(path)
        if ours is None or ours.exists() == (verb == "make_folder"):
            return act()  # Nothing to change: the system says so.
        return self.watch.call(Call(verb, ours), act)

    def mkdir(self, path: Any, *rest: Any, **named: Any) -> None:
        self._name("mkdir", "make_folder", path, rest, named)

    def unlink(self, path: Any, *rest: Any, **named: Any) -> None:
        self._name("unlink", "remove_file", path, rest, named)

    def rmdir(self, path: Any, *rest: Any, **named: Any) -> None:
        self._name("rmdir", "remove_folder", path, rest, named)

    # ------------------------------------------------------------------ files, SQLite

    def open_file(self, path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        ours = self.ours(path)
        if ours is None or set(mode) <= set("rbt"):
            return self._open(path, mode, *rest, **named)
        assert mode == "wb", f"the watch does not know the mode {mode!r}"
        raw = self.watch.call(Call("create", ours), lambda: _Raw(ours, self))
        self._paths[raw.fileno()] = ours
        return io.BufferedWriter(raw)

    def connect(self, database: Any, **named: Any) -> sqlite3.Connection:
        words = str(database)
        name = words.removeprefix("file://").partition("?")[0]
        ours = self.ours(name)
        if ours is None or "mode=ro" in words:
            return self._connect(database, **named)
        system = self

        class Connection(sqlite3.Connection):
            def _show(self, words: str, act: Callable[[], Any]) -> Any:
                if not _CHANGE.search(words):
                    return act()
                assert ours is not None
                return system.watch.statement(self, ours, words, act)

            def execute(self, words: str, *rest: Any) -> Any:
                return self._show(words, lambda: super_.execute(self, words, *rest))

            def executemany(self, words: str, *rest: Any) -> Any:
                return self._show(words, lambda: super_.executemany(self, words, *rest))

            def executescript(self, words: str) -> Any:
                return self._show(words, lambda: super_.executescript(self, words))

        super_ = sqlite3.Connection
        return self.watch.connect(
            ours, lambda: self._connect(database, factory=Connection, **named)
        )


@final
class _Raw(io.FileIO):
    """A file that `open` has made: its bytes come through a buffer."""

    def __init__(self, path: Path, system: _System) -> None:
        super().__init__(path, "wb")
        self._path, self._system = path, system

    def write(self, content: Any) -> int:
        def act() -> int:
            return io.FileIO.write(self, content)

        call = Call("append", self._path, content=bytes(content))
        return self._system.watch.call(call, act)

    def close(self) -> None:
        if not self.closed:
            self._system.forget(self.fileno())
        super().close()
