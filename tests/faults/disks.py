"""Disks that record, fail and kill: each wraps the real one.

Every verb of the contract goes through `_call`, so that a count of calls is a count of
all of them.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from ownloop.checkpoints.disk import AbstractDisk, Item, OpenFile, RealDisk

CHANGES = (
    "make_folder",
    "create",
    "append",
    "truncate",
    "sync",
    "rename",
    "sync_folder",
    "remove_file",
    "remove_folder",
)
"""The verbs that change something."""


@final
@dataclass(frozen=True)
class Call:
    """One call of a verb: its path, and what else it was given."""

    verb: str
    path: Path
    target: Path | None = None
    content: bytes = b""
    size: int = 0


class AbstractWatchedDisk(AbstractDisk):
    """The real disk, with somebody who is asked before each call."""

    @property
    def real(self) -> AbstractDisk:
        return RealDisk()

    def _call(self, call: Call, act: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def make_folder(self, path: Path) -> None:
        self._call(Call("make_folder", path), lambda: self.real.make_folder(path))

    def create(self, path: Path) -> OpenFile:
        return self._call(Call("create", path), lambda: self.real.create(path))

    def append(self, file: OpenFile, piece: memoryview) -> None:
        call = Call("append", file.path, content=bytes(piece))
        self._call(call, lambda: self.real.append(file, piece))

    def sync(self, file: OpenFile) -> None:
        self._call(Call("sync", file.path), lambda: self.real.sync(file))

    def close(self, file: OpenFile) -> None:
        self._call(Call("close", file.path), lambda: self.real.close(file))

    def rename(self, source: Path, target: Path) -> None:
        call = Call("rename", source, target)
        self._call(call, lambda: self.real.rename(source, target))

    def sync_folder(self, path: Path) -> None:
        self._call(Call("sync_folder", path), lambda: self.real.sync_folder(path))

    def list(self, path: Path) -> list[Item]:
        return self._call(Call("list", path), lambda: self.real.list(path))

    def read(self, path: Path, size: int) -> bytearray:
        return self._call(Call("read", path), lambda: self.real.read(path, size))

    def remove_file(self, path: Path) -> None:
        self._call(Call("remove_file", path), lambda: self.real.remove_file(path))

    def remove_folder(self, path: Path) -> None:
        self._call(Call("remove_folder", path), lambda: self.real.remove_folder(path))

    def free(self, path: Path) -> int:
        return self._call(Call("free", path), lambda: self.real.free(path))


class GoneError(BaseException):
    """The process is no more, as far as its disk can tell."""


class RecordingDisk(AbstractWatchedDisk):
    """Keeps a list of the calls that were made.

    Args:
        changes_left: after so many changes the disk does nothing more, not even for a
            process that would tidy up, which looks like a kill; None for no kill.
    """

    def __init__(self, changes_left: int | None = None) -> None:
        self.calls: list[Call] = []
        self._left = changes_left

    def _call(self, call: Call, act: Callable[[], Any]) -> Any:
        if self._left is not None and call.verb in CHANGES:
            if self._left == 0:
                raise GoneError
            self._left -= 1
        self.calls.append(call)
        return act()


@final
class KillingDisk(AbstractWatchedDisk):
    """Kills this process before the k-th call, or half-way through the k-th write."""

    def __init__(self, at: int, *, half: bool) -> None:
        self._left = at
        self._half = half

    def _call(self, call: Call, act: Callable[[], Any]) -> Any:
        if self._half and call.verb != "append":
            return act()
        self._left -= 1
        if self._left == 0:
            if self._half:
                with open(call.path, "ab") as file:
                    file.write(call.content[: len(call.content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return act()


@final
class FailingDisk(AbstractWatchedDisk):
    """Fails at the k-th call, once or ever after; a write has by then half happened.

    Args:
        at: the number of the call, from 1; 0 for never.
        number: the errno of the failure.
        sticky: whether all later calls fail, too.
        verb: count calls of this verb only.
    """

    def __init__(
        self,
        at: int,
        number: int,
        *,
        sticky: bool = False,
        verb: Literal[
            "any", "read", "sync", "sync_folder", "append", "remove_file"
        ] = "any",
    ) -> None:
        self.failed: list[Call] = []
        self.counted = 0
        self._at = at
        self._number = number
        self._sticky = sticky
        self._verb = verb

    def _call(self, call: Call, act: Callable[[], Any]) -> Any:
        if self._verb not in ("any", call.verb):
            return act()
        self.counted += 1
        due = self.counted >= self._at if self._sticky else self.counted == self._at
        if not self._at or not due:
            return act()
        self.failed.append(call)
        if call.verb == "append":
            with open(call.path, "ab") as file:
                file.write(call.content[: len(call.content) // 2])
        if call.verb == "close":
            act()  # Linux closes the descriptor, whatever it says
        raise OSError(self._number, os.strerror(self._number), str(call.path))
