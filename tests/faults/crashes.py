"""Every state in which a power cut may leave checkpoints, by the least POSIX promises.

A trace of real commits is played to the model of a file system in `power`. A power cut
may come after any call. Real file systems allow less. Each state is then looked at by
the store itself.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from faults.disks import CHANGES, Call, GoneError, RecordingDisk
from faults.power import HOME, Model, Tree
from faults.samples import RUN, bits, sample, scratch
from ownloop.checkpoints import Store
from ownloop.checkpoints.disk import AbstractDisk, Item, OpenFile
from ownloop.checkpoints.names import parse
from ownloop.errors import CheckpointError

FOLDER = HOME / "checkpoints"


@final
@dataclass(frozen=True)
class CrashCount:
    """What came of the power cuts.

    Attributes:
        states: different states: what is on the disk, and what was acknowledged.
        torn: states in which something was loaded that was never committed.
        lost: states in which the newest was older than one that was acknowledged, or
            in which an acknowledged one, not yet to be pruned, was not whole.
        broken: states in which a committed name stood for something that is not whole.
    """

    states: int = 0
    torn: int = 0
    lost: int = 0
    broken: int = 0

    @property
    def bad(self) -> int:
        return self.torn + self.lost + self.broken

    def __add__(self, other: "CrashCount") -> "CrashCount":
        return CrashCount(
            self.states + other.states,
            self.torn + other.torn,
            self.lost + other.lost,
            self.broken + other.broken,
        )


def record() -> list[Call]:
    """Give the calls of three commits, each with all older ones pruned.

    Between them stand two marks, calls of no verb: "acknowledge", when `commit` has
    given a name, and "forget", when one is about to be pruned.
    """
    with scratch() as base:
        calls, _ = _play(Path(base), commits=3)
        return _at_home(calls, Path(base))


def record_kills() -> Iterator[list[Call]]:
    """Give traces in which a process is killed, and another one goes on.

    The first is killed before its k-th change of the disk, for k = 1, 2, ... until it
    comes to the end of its second commit; the other one commits once. The mark between
    them is "restart".
    """
    for at in itertools.count(1):
        with scratch() as base:
            calls, killed = _play(Path(base), commits=2, kill_at=at)
            if not killed:
                return
            more, _ = _play(Path(base), commits=1)
            restart = Call("restart", Path(base))
            yield _at_home([*calls, restart, *more], Path(base))


def _play(
    base: Path, *, commits: int, kill_at: int | None = None
) -> tuple[list[Call], bool]:
    """Resume, prune and commit; tell whether the kill came to pass."""
    disk = RecordingDisk(changes_left=None if kill_at is None else kill_at - 1)
    store = Store(base / "checkpoints", run=RUN, disk=disk)
    found = store.newest()
    first = 1 if found.checkpoint is None else found.checkpoint.step + 1
    try:
        if found.name is not None:
            _prune(store, disk, base, found.name)
        for step in range(first, first + commits):
            name = store.commit(sample(step))
            disk.calls.append(Call("acknowledge", base / name))
            _prune(store, disk, base, name)
    except GoneError:
        return disk.calls, True
    return disk.calls, False


def _prune(store: Store, disk: RecordingDisk, base: Path, kept: str) -> None:
    older = [name for name in store.names() if name != kept]
    disk.calls += [Call("forget", base / name) for name in older]
    store.prune([kept])


def _at_home(calls: list[Call], base: Path) -> list[Call]:
    """Give what changes something, under the paths of the model."""
    return [
        Call(
            call.verb,
            HOME / call.path.relative_to(base),
            call.target and HOME / call.target.relative_to(base),
            call.content,
        )
        for call in calls
        if call.verb in (*CHANGES, "acknowledge", "forget", "restart")
    ]


def count_crashes(calls: Iterable[Call], *, enough: int | None = None) -> CrashCount:
    """Cut the power after each call, in every way.

    Args:
        calls: what `record` gave, or a change of it.
        enough: stop when so many bad states were found.
    """
    model = Model()
    promised: list[str] = []
    last: str | None = None
    seen: set[tuple[Tree, tuple[str, ...], str | None]] = set()
    torn = lost = broken = 0
    for call in [None, *calls]:
        if call is None or call.verb == "restart":
            pass  # the disk as it was
        elif call.verb == "acknowledge":
            last = call.path.name
            promised = [*promised, last]
        elif call.verb == "forget":
            promised = [name for name in promised if name != call.path.name]
        else:
            model.play(call)
        for tree in model.states():
            state = tree, tuple(promised), last
            if state in seen:
                continue
            seen.add(state)
            is_torn, is_lost, is_broken = _look(tree, promised, last)
            torn, lost, broken = torn + is_torn, lost + is_lost, broken + is_broken
            if enough is not None and torn + lost + broken >= enough:
                return CrashCount(len(seen), torn, lost, broken)
    return CrashCount(len(seen), torn, lost, broken)


def _look(tree: Tree, promised: list[str], last: str | None) -> tuple[bool, bool, bool]:
    """Open a state as a resuming run would."""
    store = Store(FOLDER, run=RUN, disk=_TreeDisk(tree))
    findings = {finding.name: finding.ok for finding in store.verify()}
    try:
        found = store.newest()
    except CheckpointError:
        return False, last is not None, True  # there were some, and none was whole
    lost = not all(findings.get(name) for name in promised)
    if last is not None:
        lost = lost or found.name is None or parse(found.name) < parse(last)
    torn = found.checkpoint is not None and (
        bits(found.checkpoint) != bits(sample(found.checkpoint.step))
    )
    return torn, lost, not all(findings.values())


@final
class _TreeDisk(AbstractDisk):
    """A disk that holds one state and can be read only."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def list(self, path: Path) -> list[Item]:
        tree = self._find(path)
        if isinstance(tree, bytes):
            raise NotADirectoryError(20, "Not a directory", str(path))
        return [
            Item(name, "file", len(inner))
            if isinstance(inner, bytes)
            else Item(name, "folder", 0)
            for name, inner in tree
        ]

    def read(self, path: Path, size: int) -> bytearray:
        tree = self._find(path)
        if not isinstance(tree, bytes) or len(tree) != size:
            raise OSError(f"{path} is no file of {size} bytes")
        return bytearray(tree)

    def _find(self, path: Path) -> Tree:
        tree = self._tree
        for name in path.relative_to(HOME).parts:
            inner = None if isinstance(tree, bytes) else dict(tree).get(name)
            if inner is None:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            tree = inner
        return tree

    def make_folder(self, path: Path) -> None:
        raise NotImplementedError

    def create(self, path: Path) -> OpenFile:
        raise NotImplementedError

    def append(self, file: OpenFile, piece: memoryview) -> None:
        raise NotImplementedError

    def sync(self, file: OpenFile) -> None:
        raise NotImplementedError

    def close(self, file: OpenFile) -> None:
        raise NotImplementedError

    def rename(self, source: Path, target: Path) -> None:
        raise NotImplementedError

    def sync_folder(self, path: Path) -> None:
        raise NotImplementedError

    def remove_file(self, path: Path) -> None:
        raise NotImplementedError

    def remove_folder(self, path: Path) -> None:
        raise NotImplementedError

    def free(self, path: Path) -> int:
        raise NotImplementedError
