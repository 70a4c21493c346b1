"""Who has the lock of a run's folder now, asked without taking it.

Owns the words that a lock's file holds: they are for messages, and the system alone
says whether they are true. Changes nothing, and keeps nobody out.
"""

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import final

from ownloop.folder.exclusive import is_claimed


@final
@dataclass(frozen=True)
class Holder:
    """Who has a lock, as it said itself.

    Attributes:
        pid: its process; None: it has not said so.
        host: the name of its machine.
        since: when it took the lock.

    Example:
        >>> print(Holder(12, "here", "2025-01-01"))
        process 12 on here, since 2025-01-01
    """

    pid: int | None = None
    host: str = ""
    since: str = ""

    @classmethod
    def here(cls) -> "Holder":
        """Give what this process says of itself."""
        # The time is for people who read the message, and decides nothing.
        started = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), started)

    @classmethod
    def of(cls, path: Path) -> "Holder":
        """Read what was said last, by somebody who need not be there any more."""
        try:
            said = json.loads(path.read_bytes())
            return cls(int(said["pid"]), str(said["host"]), str(said["since"]))
        except (OSError, ValueError, TypeError, KeyError):
            return cls()

    def to_bytes(self) -> bytes:
        """Give what ``of`` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    def __str__(self) -> str:
        if self.pid is None:
            return "another process, which has not said who it is"
        return f"process {self.pid} on {self.host}, since {self.since}"


def find_holder(path: str | PathLike[str]) -> Holder | None:
    """Say who holds a lock at this moment; None if nobody does.

    Nobody who wants the lock is kept from it. Where the system has no locks, a process
    that was killed is taken to be there still.

    Args:
        path: the file that stands for the lock.

    Raises:
        OSError: the file is there and cannot be read.

    Example:
        >>> from ownloop.folder import RunLock
        >>> lock = RunLock("lock")
        >>> find_holder("lock") is None
        True
        >>> lock.acquire()
        >>> find_holder("lock").pid == os.getpid()
        True
        >>> lock.release()
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        # Who gives the lock back empties the file, and who takes it writes at once. So
        # only what a killed process left is touched for a moment, never a free lock.
        is_held = os.fstat(file).st_size > 0 and is_claimed(file)
        return Holder.of(Path(path)) if is_held else None
    finally:
        os.close(file)
