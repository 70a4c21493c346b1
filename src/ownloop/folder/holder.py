"""Who has the lock of a run's folder now, asked without taking it.

Owns the words that a lock's file holds. They are for messages only: whether somebody
has the lock, the system says. Changes nothing, and keeps nobody out.
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
    """Who has a lock, in its own words.

    Attributes:
        pid: The number of its process; None where it is not known.
        host: The name of its machine.
        since: When it took the lock.

    Example:
        >>> print(Holder(12, "here", "2025-01-01"))
        process 12 on here, since 2025-01-01
    """

    pid: int | None = None
    host: str = ""
    since: str = ""

    @classmethod
    def here(cls) -> "Holder":
        """Returns this process as a holder."""
        # The time is for people who read the message, and decides nothing.
        started = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), started)

    @classmethod
    def of(cls, path: Path) -> "Holder":
        """Returns who wrote into a lock's file last, and need not be there any more."""
        try:
            said = json.loads(path.read_bytes())
            return cls(int(said["pid"]), str(said["host"]), str(said["since"]))
        except (OSError, ValueError, TypeError, KeyError):
            return cls()

    def to_bytes(self) -> bytes:
        """Returns the words that `of` reads."""
        return json.dumps(asdict(self)).encode() + b"\n"

    def __str__(self) -> str:
        if self.pid is None:
            return "another process, which has not said who it is"
        return f"process {self.pid} on {self.host}, since {self.since}"


def find_holder(path: str | PathLike[str]) -> Holder | None:
    """Returns who holds a lock at this moment; None if nobody does.

    This keeps nobody from taking the lock. Where the system has no locks, a process
    that was killed is still said to hold it.

    Args:
        path: The file that stands for the lock.

    Raises:
        OSError: The file is there and cannot be read.

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
        # A process that gives the lock back empties the file, and one that takes it
        # writes at once. So only what a killed process left is locked for a moment.
        is_held = os.fstat(file).st_size > 0 and is_claimed(file)
        return Holder.of(Path(path)) if is_held else None
    finally:
        os.close(file)
