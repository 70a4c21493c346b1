"""A folder of checkpoints: what is committed is whole and stays, whatever happens.

Owns the protocol. A checkpoint is written under another name, each file and then the
folder synchronised; the rename is the commit; and it is durable, and told to be, when
the folder above is synchronised too. Only after that may an older one be deleted. There
is one writer at a time: the run's lock sees to that, not this file.
"""

import errno
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ownloop.checkpoints import names, writing
from ownloop.checkpoints.content import Checkpoint
from ownloop.checkpoints.disk import AbstractDisk, Item, Kind, RealDisk
from ownloop.checkpoints.manifest import FILES, Manifest
from ownloop.checkpoints.names import Position
from ownloop.checkpoints.reading import read_checkpoint, read_manifest, read_meta
from ownloop.checkpoints.refusal import RefusedError
from ownloop.errors import CheckpointError

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
_REMEDY = "Load another one, or set this one aside."
_CHOOSE = "Choose one of Store.names()."


@final
@dataclass(frozen=True, eq=False)
class Newest:
    """The newest checkpoint that can be trusted.

    Attributes:
        name: Its name; None if there is none at all.
        checkpoint: Its content; None if there is none at all.
        refused: Newer checkpoints that cannot be trusted, newest first, each with the
            reason.
    """

    name: str | None
    checkpoint: Checkpoint | None
    refused: tuple[tuple[str, str], ...] = ()


@final
@dataclass(frozen=True)
class Verdict:
    """What a look at one checkpoint found; `reason` says why it is not ok."""

    name: str
    bytes: int
    ok: bool
    reason: str = ""


@final
class Store:
    """The checkpoints of one run, in a folder.

    Args:
        folder: Where they are; made by the first commit, if need be.
        run: The identity of the run, which every checkpoint must carry. With None, for
            a folder of which it is not known, any run's can be read, and none be saved.
        disk: The file system; another than this machine's is for tests.

    Example:
        >>> store = Store(Path("checkpoints"), run="digits")
        >>> store.commit(Checkpoint(step=300, tensors={}, meta={"epoch": 1}))
        'step-300'
        >>> found = store.newest()
        >>> found.name, found.checkpoint.meta
        ('step-300', {'epoch': 1})
    """

    def __init__(
        self, folder: Path, *, run: str | None, disk: AbstractDisk | None = None
    ) -> None:
        self._folder = folder.absolute()
        self._run = run
        self._disk = RealDisk() if disk is None else disk
        self._unfinished: set[str] = set()
        self._verified: set[str] = set()
        self._folder_is_durable = False

    def commit(self, checkpoint: Checkpoint) -> str:
        """Saves a checkpoint; when this returns, it survives a power cut.

        First it removes what killed processes left, whose room may be needed. If it
        raises, the older ones are as they were, and what was written is removed, now,
        or later if the disk refuses even that. If only the last act failed, the new one
        stays: it is whole, but a power cut may take it back.

        Args:
            checkpoint: What to save. Its arrays must not change until this returns.

        Returns:
            The name of its folder.

        Raises:
            CheckpointError: It holds what cannot be saved, or is older than one that is
                there, or the disk does not take it.
        """
        if self._run is None:
            raise CheckpointError(
                f"A checkpoint was to be saved in {self._folder} for no run. Expected "
                "a store that knows its run. Make it with Store(folder, run=...)."
            )
        plan = writing.plan(checkpoint)
        with self._telling("save", f"step {checkpoint.step}", needed=plan.size):
            self._make_folder()
            for leftover in self._leftovers():
                # The room may be needed. What cannot be removed here, `prune` reports.
                self._remove_if_possible(self._folder / leftover)
            name, parent = self._next(checkpoint.step)
            unfinished = names.unfinished(name)
            self._unfinished.add(unfinished)
            path = self._folder / unfinished
            try:
                writing.write(
                    self._disk, path, plan, run=self._run, name=name, parent=parent
                )
                self._disk.rename(path, self._folder / name)
            except BaseException:
                self._remove_if_possible(path)
                raise
            finally:
                self._unfinished.discard(unfinished)
            self._disk.sync_folder(self._folder)
            self._verified.add(name)
        return name

    def names(self) -> list[str]:
        """Returns the names of all committed checkpoints, oldest first.

        Raises:
            CheckpointError: The folder cannot be read.
        """
        with self._telling("list", "the checkpoints"):
            positions = [names.parse(item.name) for item in self._items()]
        return [str(place) for place in sorted(filter(None, positions))]

    def load(self, name: str) -> Checkpoint:
        """Returns a checkpoint, after all of it was verified.

        Its arrays are writable and share one piece of memory, as large as the file.

        Raises:
            CheckpointError: It is missing, damaged, foreign or of a later version; the
                message says which file, and what is wrong with it.
        """
        with self._trusting(name):
            return self._read(name)

    def meta(self, name: str) -> dict[str, Any]:
        """Returns the words and numbers of a checkpoint; its arrays are not read.

        Raises:
            CheckpointError: As for `load`, except for what is wrong with the arrays.
        """
        with self._trusting(name):
            return read_meta(self._disk, self._folder / name, self._open(name))

    def newest(self) -> Newest:
        """Returns the newest checkpoint that can be trusted, and which ones cannot.

        Raises:
            CheckpointError: There are checkpoints, and none can be trusted: to start
                from the beginning then would throw the run away. Or one is of a later
                version, or the disk cannot read it, and neither means that it is
                damaged.
        """
        refused: list[tuple[str, str]] = []
        waiting = self.names()
        while waiting:
            name = waiting.pop()
            try:
                with self._trusting_the_disk(name):
                    checkpoint = self._read(name)
            except RefusedError as error:
                now = self.names()
                if name not in now:
                    # A run that goes on has saved another, and deleted this one.
                    waiting = [n for n in now if n not in dict(refused)]
                    continue
                if error.remedy:  # It is whole, and not ours to load.
                    with self._trusting(name):
                        raise
                refused.append((name, _reason(error)))
                continue
            return Newest(name, checkpoint, tuple(refused))
        with self._telling("list", "the checkpoints"):
            for item in self._items():
                if names.parse_set_aside(item.name):
                    refused.append((item.name, "it was set aside"))
        if refused:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in refused)
            raise CheckpointError(
                f"No checkpoint in {self._folder} can be trusted ({reasons}). Expected "
                "at least one that is as it was committed. Bring one back from a copy, "
                "or choose an empty folder to start from the beginning."
            )
        return Newest(None, None)

    def set_aside(self, name: str) -> None:
        """Renames a checkpoint, so that it is no longer one; nothing is deleted.

        Raises:
            CheckpointError: It is missing, or the disk refuses.
        """
        with self._telling("set aside", f"{name!r:.80}"):
            self._kind(name)
            target = self._folder / names.set_aside(name)
            self._disk.rename(self._folder / name, target)
            self._disk.sync_folder(self._folder)

    def prune(self, keep: Collection[str]) -> list[str]:
        """Deletes all other checkpoints of this run, and what killed processes left.

        What is of another run, is damaged or holds anything but our files stays.

        Args:
            keep: The names of those to keep. At least one must be sound; to know that,
                it is read if this store has neither saved nor loaded it.

        Returns:
            The names of those that were deleted, oldest first.

        Raises:
            CheckpointError: Nothing sound would be left, or the disk refuses. What
                could not be deleted is deleted the next time.
        """
        present = self.names()
        kept = [name for name in present if name in keep]
        with self._telling("prune", "the checkpoints"):
            superseded = [n for n in present if n not in kept and self._is_ours(n)]
            if superseded and not any(map(self._is_sound, reversed(kept))):
                raise CheckpointError(
                    f"{superseded} were to be deleted in {self._folder}, and none of "
                    f"{kept}, which would stay, can be trusted. Expected a sound one "
                    "to stay. Name it, or delete the folder by hand."
                )
            if superseded:
                # A process may have been killed after it renamed the one that stays.
                self._disk.sync_folder(self._folder)
            for name in superseded:
                self._disk.rename(self._folder / name, self._folder / names.trash(name))
            for name in self._leftovers():
                self._remove(self._folder / name)
        return superseded

    def verify(self) -> list[Verdict]:
        """Looks at every byte, and returns a verdict on each checkpoint, oldest first.

        Raises:
            CheckpointError: The folder cannot be read.
        """
        return [self._look(name) for name in self.names()]

    def _look(self, name: str) -> Verdict:
        size = 0
        try:
            items = self._disk.list(self._folder / name)
            size = sum(item.bytes for item in items if item.kind == "file")
            self._read(name)
        except (RefusedError, OSError) as error:
            return Verdict(name, size, False, _reason(error))
        return Verdict(name, size, True)

    def _make_folder(self) -> None:
        """Makes the folder and those above it, if they are missing, durably."""
        if self._folder_is_durable:
            return
        missing = []
        folder = self._folder
        while True:
            try:
                self._disk.list(folder)
                break
            except FileNotFoundError:
                missing.append(folder)
                folder = folder.parent
        for folder in reversed(missing):
            self._disk.make_folder(folder)
            self._disk.sync_folder(folder.parent)
        if not missing:
            # The process that made it may have been killed before it was durable.
            self._disk.sync_folder(self._folder.parent)
        self._folder_is_durable = True

    def _items(self) -> list[Item]:
        try:
            return self._disk.list(self._folder)
        except FileNotFoundError:
            return []

    def _leftovers(self) -> list[str]:
        """Returns what killed processes left, and what may be deleted now."""
        found = {item.name for item in self._items()} - self._unfinished
        leftovers = sorted(filter(names.is_leftover, found))
        if leftovers:
            # Otherwise a power cut might bring one back that is half deleted. The same
            # goes for those of a process that was killed before it came to this line.
            self._disk.sync_folder(self._folder)
        return leftovers

    def _next(self, step: int) -> tuple[str, str | None]:
        """Returns the name of the next checkpoint, and that of the one before it."""
        items = self._items()
        committed = sorted(filter(None, (names.parse(item.name) for item in items)))
        aside = filter(None, (names.parse_set_aside(item.name) for item in items))
        last = committed[-1] if committed else None
        if last is not None and last.step > step:
            raise CheckpointError(
                f"A checkpoint of step {step} was to be saved in {self._folder}, "
                f"where {last} is. Expected a step that is not lower, since the newest "
                "is the one with the highest step. Set the later ones aside, or choose "
                "another folder."
            )
        numbers = [place.number for place in (*committed, *aside) if place.step == step]
        name = str(Position(step, max(numbers, default=0) + 1))
        return name, None if last is None else str(last)

    def _kind(self, name: str) -> Kind:
        """Returns the kind of what has this name; refuses a wrong or missing name."""
        if names.parse(name) is None:
            raise RefusedError("that is no name of a checkpoint", _CHOOSE)
        kinds = {item.name: item.kind for item in self._items()}
        if name not in kinds:
            raise RefusedError("there is none of that name", _CHOOSE)
        return kinds[name]

    def _open(self, name: str) -> Manifest:
        if self._kind(name) != "folder":
            raise RefusedError("it is no folder but a file, a link or a device")
        folder = self._folder / name
        return read_manifest(self._disk, folder, run=self._run, name=name)

    def _read(self, name: str) -> Checkpoint:
        manifest = self._open(name)
        checkpoint = read_checkpoint(self._disk, self._folder / name, manifest)
        self._verified.add(name)
        return checkpoint

    def _is_sound(self, name: str) -> bool:
        return name in self._verified or self._look(name).ok

    def _is_ours(self, name: str) -> bool:
        try:
            self._open(name)
        except (RefusedError, OSError):
            return False
        return True

    def _remove(self, folder: Path) -> None:
        """Removes a folder of ours; one that holds anything else stays."""
        items = self._disk.list(folder)
        if any(item.name not in FILES or item.kind != "file" for item in items):
            return
        for item in items:
            self._disk.remove_file(folder / item.name)
        self._disk.remove_folder(folder)

    def _remove_if_possible(self, folder: Path) -> None:
        try:
            self._remove(folder)
        except OSError:
            return  # the error that led here is the one to tell

    @contextmanager
    def _trusting(self, name: str) -> Iterator[None]:
        try:
            yield
        except (RefusedError, OSError) as error:
            remedy = error.remedy if isinstance(error, RefusedError) else ""
            raise CheckpointError(
                f"The checkpoint {name!r:.80} in {self._folder} cannot be loaded: "
                f"{_reason(error)}. Expected a folder that is as it was committed. "
                f"{remedy or _REMEDY}"
            ) from error

    @contextmanager
    def _trusting_the_disk(self, name: str) -> Iterator[None]:
        """Keeps an error of the disk, which may pass, from being taken for damage."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {name!r:.80} in {self._folder} cannot be read: "
                f"{_reason(error)}. Expected a disk that gives back what it has. Try "
                "again, or move this checkpoint away to go on from the one before it."
            ) from error

    @contextmanager
    def _telling(self, verb: str, what: str, needed: int = 0) -> Iterator[None]:
        try:
            yield
        except (RefusedError, OSError) as error:
            raise CheckpointError(
                f"Could not {verb} {what} in {self._folder}: {_reason(error)}. "
                f"{self._advice(error, needed)}"
            ) from error

    def _advice(self, error: RefusedError | OSError, needed: int) -> str:
        if isinstance(error, RefusedError):
            return f"Expected a checkpoint as it was saved. {error.remedy}"
        expected = "a folder that can be read and written. See to the disk"
        if error.errno in _NO_ROOM:
            free = self._free()
            expected = (
                f"room for {needed} bytes, where {free} are free. Make room, or keep "
                "fewer checkpoints"
            )
        return f"Expected {expected}; those that were committed are untouched."

    def _free(self) -> str:
        try:
            return str(self._disk.free(self._folder))
        except OSError:
            return "an unknown number"


def _reason(error: RefusedError | OSError) -> str:
    if isinstance(error, RefusedError):
        return error.reason
    if error.filename is None:
        return str(error)
    return f"{error.strerror} ({error.filename})"
