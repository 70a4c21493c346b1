"""The run's log: text that is added to, and cut back when a run is resumed.

Owns `log.txt`. What is written is kept as it is, and nothing is added to it: no time of
day, which would make two equal runs differ.
"""

import hashlib
import os
import sys
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import final

from ownloop.errors import FolderError

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_PIECE = 1 << 20
"""Bytes that are read at once."""


@final
class Log:
    r"""A text file in UTF-8 that only grows, except when it is cut back.

    Args:
        path: The file. Nothing happens to it before `open`.

    Example:
        >>> log = Log("log.txt")
        >>> log.open()
        >>> log.write("Epoch 1\n")
        >>> committed = log.length
        >>> log.write("Epoch 2\n")
        >>> log.cut_back(committed)
        >>> log.close()
        >>> Path("log.txt").read_text()
        'Epoch 1\n'
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._file: int | None = None
        self._length = 0
        self._digest = hashlib.sha256()

    def open(self) -> None:
        """Opens the file, or makes it; a second time does nothing.

        Raises:
            FolderError: It cannot be written.
        """
        if self._file is None:
            # Not through a link: in a folder from somebody else it may point to a file
            # of ours, which would be cut.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_LINK
            if sys.platform == "win32":  # or a line's end would be two bytes there
                flags |= os.O_BINARY
            try:
                self._file = os.open(self._path, flags, 0o666)
            except OSError as error:
                raise _refusal(self._path, "opened", error) from error
            self._length = _found_length(self._file)

    def write(self, text: str) -> None:
        """Adds the text at the end and hands it to the system, all of it or nothing.

        It survives the death of this process at once, and a power cut after `sync`.
        What others added to the file is cut off: no checkpoint could vouch for it.

        Raises:
            FolderError: The file cannot be written, for instance as the disk is full.
        """
        file = self._open_file()
        written = text.encode("utf-8", errors="backslashreplace")
        content = memoryview(written)
        try:
            if _found_length(file) > self._length:
                # What others wrote, or half a line that could not be taken away before.
                os.ftruncate(file, self._length)
            while content:
                content = content[os.write(file, content) :]
        except OSError as error:
            # Half a line would be taken for a line.
            with suppress(OSError):
                os.ftruncate(file, self._length)
            raise _refusal(self._path, "written", error) from error
        self._length += len(written)
        self._digest.update(written)

    @property
    def digest(self) -> str:
        """The SHA-256 of what `cut_back` left and of what was written since."""
        return self._digest.hexdigest()

    @property
    def length(self) -> int:
        """The length in bytes of what was written, which a checkpoint keeps."""
        return self._length

    def sync(self) -> None:
        """Waits until the disk has all that was written.

        Raises:
            FolderError: The disk refuses.
        """
        try:
            os.fsync(self._open_file())
        except OSError as error:
            raise _refusal(self._path, "written", error) from error

    def verify(self, length: int, *, digest: str) -> None:
        """Checks that the file begins as a checkpoint says, whatever follows.

        Raises:
            FolderError: It begins otherwise, or cannot be read.
        """
        _verified(self._path, self._open_file(), length, digest)

    def cut_back(self, length: int, *, digest: str | None = None) -> None:
        """Takes away what was written after the file had a length.

        Args:
            length: How many bytes are left, as a checkpoint keeps it.
            digest: As a checkpoint keeps it; what is left must have it.

        Raises:
            FolderError: The file is shorter, or what would be left has another digest.
        """
        file = self._open_file()
        self._digest = _verified(self._path, file, length, digest)
        try:
            os.ftruncate(file, length)
        except OSError as error:
            raise _refusal(self._path, "cut back", error) from error
        self._length = length

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        file, self._file = self._file, None
        if file is not None:
            # What had to be on the disk was waited for by `sync`.
            with suppress(OSError):
                os.close(file)

    def _open_file(self) -> int:
        if self._file is None:
            raise FolderError(
                f"{self._path} is not open. Expected an open log. Call open() first."
            )
        return self._file


def verify_log(path: str | PathLike[str], length: int, *, digest: str) -> None:
    """Checks that a log begins as a checkpoint says, and changes nothing.

    Raises:
        FolderError: It begins otherwise, or cannot be read.
    """
    path = Path(path)
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _refusal(path, "read", error) from error
    try:
        _verified(path, file, length, digest)
    finally:
        os.close(file)


def _verified(
    path: Path, file: int, length: int, digest: str | None
) -> "hashlib._Hash":
    """Returns the digest of the first bytes, if they are as a checkpoint says."""
    found = _found_length(file)
    if found < length:
        raise FolderError(
            f"{path} has {found:,} bytes. Expected at least {length:,}, which the "
            "checkpoint is about. Put back the file that belongs to it, or resume from "
            "an earlier checkpoint."
        )
    try:
        hashed = _digest_of(file, length)
    except OSError as error:
        raise _refusal(path, "read", error) from error
    if digest not in (None, hashed.hexdigest()):
        raise FolderError(
            f"{path} was altered: the SHA-256 of its first {length:,} bytes is "
            f"{hashed.hexdigest()[:8]}.... Expected {digest[:8]}..., as the run wrote "
            "them. Put back the file that belongs to the checkpoint, or begin the run "
            "anew in another folder."
        )
    return hashed


def _found_length(file: int) -> int:
    return os.fstat(file).st_size


def _digest_of(file: int, length: int) -> "hashlib._Hash":
    digest = hashlib.sha256()
    os.lseek(file, 0, os.SEEK_SET)
    while length and (piece := os.read(file, min(length, _PIECE))):
        digest.update(piece)
        length -= len(piece)
    return digest


def _refusal(path: Path, done: str, error: OSError) -> FolderError:
    return FolderError(
        f"{path} cannot be {done}: {error.strerror}. Expected a file that can grow. "
        "Make room on the disk, or see that we may write there."
    )
