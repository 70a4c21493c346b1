"""The file system, in twelve verbs: the only place of this room that calls it.

Owns what each call promises once it has returned, on the systems that we know:

    Linux      as said at each verb, on a local file system
    macOS      `fsync` hands data to the drive, which may keep them in its cache
    Windows    folders cannot be synchronised: `sync_folder` does nothing, so a power
               cut may take the newest checkpoint back; a killed process takes nothing

A network file system may promise less. Nothing is tried twice here, least of all
`fsync`: after a failure the kernel takes the lost pages for written.
"""

import errno
import os
import shutil
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

Kind = Literal["file", "folder", "other"]

# Not on every system: never follow a symbolic link, never wait for a pipe's other end;
# and on Windows, never change line ends.
_FLAGS = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


@final
@dataclass(frozen=True)
class Item:
    """Something in a folder. A symbolic link is of the kind `"other"`."""

    name: str
    kind: Kind
    bytes: int


@final
@dataclass(frozen=True)
class OpenFile:
    """A file that is being written."""

    descriptor: int
    path: Path


class AbstractDisk(ABC):
    """What a store asks of a file system.

    Each verb does one thing or raises OSError, with the path in it. The two that are
    called `sync` are the only ones whose effect a power cut cannot undo, and they
    make durable only what they name: a file's bytes, or a folder's list of names.
    """

    @abstractmethod
    def make_folder(self, path: Path) -> None:
        """Makes a folder that must not exist, in one that must."""

    @abstractmethod
    def create(self, path: Path) -> OpenFile:
        """Opens a new file for writing; it must not exist."""

    @abstractmethod
    def append(self, file: OpenFile, piece: memoryview) -> None:
        """Writes all bytes of a piece at the end of a file."""

    @abstractmethod
    def sync(self, file: OpenFile) -> None:
        """Returns when the bytes of a file survive a power cut."""

    @abstractmethod
    def close(self, file: OpenFile) -> None:
        """Closes a file, which does not make its bytes durable."""

    @abstractmethod
    def rename(self, source: Path, target: Path) -> None:
        """Renames a folder, in one act; nothing of the new name may exist."""

    @abstractmethod
    def sync_folder(self, path: Path) -> None:
        """Returns when the names in a folder survive a power cut."""

    @abstractmethod
    def list(self, path: Path) -> list[Item]:
        """Returns what is in a folder; links in it are not followed."""

    @abstractmethod
    def read(self, path: Path, size: int) -> bytearray:
        """Returns the content of a file of exactly `size` bytes, which is no link."""

    @abstractmethod
    def remove_file(self, path: Path) -> None:
        """Removes a file."""

    @abstractmethod
    def remove_folder(self, path: Path) -> None:
        """Removes an empty folder."""

    @abstractmethod
    def free(self, path: Path) -> int:
        """Returns how many bytes may still be written to a folder's file system."""


@final
class RealDisk(AbstractDisk):
    """The file system of this machine.

    Example:
        >>> RealDisk().free(Path.cwd()) >= 0
        True
    """

    def make_folder(self, path: Path) -> None:
        os.mkdir(path)

    def create(self, path: Path) -> OpenFile:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
        return OpenFile(os.open(path, flags, 0o666), path)

    def append(self, file: OpenFile, piece: memoryview) -> None:
        with _naming(file.path):
            while len(piece):
                piece = piece[os.write(file.descriptor, piece) :]

    def sync(self, file: OpenFile) -> None:
        with _naming(file.path):
            os.fsync(file.descriptor)

    def close(self, file: OpenFile) -> None:
        with _naming(file.path):
            os.close(file.descriptor)

    def rename(self, source: Path, target: Path) -> None:
        # POSIX replaces an empty folder. There is one writer, so the time between the
        # question and the act is nobody's.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", str(target))
        os.rename(source, target)

    def sync_folder(self, path: Path) -> None:
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with _naming(path):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def list(self, path: Path) -> list[Item]:
        with os.scandir(path) as entries:
            return [_item(entry) for entry in entries]

    def read(self, path: Path, size: int) -> bytearray:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
        with _naming(path), open(descriptor, "rb", buffering=0) as file:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_size != size:
                raise OSError(f"{path} is no file of {size} bytes")
            content = bytearray(size)
            unread = memoryview(content)
            while len(unread):
                count = file.readinto(unread)
                if not count:
                    raise OSError(f"{path} became shorter while it was read")
                unread = unread[count:]
            return content

    def remove_file(self, path: Path) -> None:
        os.unlink(path)

    def remove_folder(self, path: Path) -> None:
        os.rmdir(path)

    def free(self, path: Path) -> int:
        return shutil.disk_usage(path).free


def _item(entry: "os.DirEntry[str]") -> Item:
    state = entry.stat(follow_symlinks=False)
    kind: Kind = "other"
    if stat.S_ISREG(state.st_mode):
        kind = "file"
    elif stat.S_ISDIR(state.st_mode):
        kind = "folder"
    return Item(entry.name, kind, state.st_size)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the path into the error of a call that knows only a descriptor."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
