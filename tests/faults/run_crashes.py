"""Every state in which a power cut may leave a run's own files, beside its checkpoints.

The calls are those of a real `RunFiles` that saves three times and is continued: what
it does with `run.json`, `log.txt`, `history.db` and the checkpoints, in their order.
They are played to the model of a file system in `power`, and each state is then looked
at as a run that is begun again would: it must not be refused, and wherever a checkpoint
is, the log and the history are there up to it, to the byte.

SQLite is trusted to do what it says, and is not modelled: a commit with `synchronous =
FULL` returns when it and all commits before it survive a power cut; with less, any of
the last ones may be lost; a half written one is none. What is asked of the connection
after each commit is the pragma that is in force. A database is therefore a file here to
which each commit adds a line with all of its rows.

The file `lock` means nothing, and is left out.
"""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

import numpy as np

from faults.disks import CHANGES, Call, GoneError
from faults.power import HOME, Model, Tree
from faults.samples import sample, scratch
from faults.system import RUN_FILES, AbstractWatch, watched
from ownloop.checkpoints import Checkpoint, Keep, Store
from ownloop.checkpoints.names import parse
from ownloop.errors import CheckpointError, FolderError
from ownloop.folder import Layout, Log
from ownloop.history import History
from ownloop.history.tally import Mark
from ownloop.history.verification import verify
from ownloop.loop.run_files import RunFiles

RUN_FOLDER = HOME / "run"
_NAMES = tuple(name for name in RUN_FILES if name != "lock")
_FULL = 2
_VALUES = 2
_OPENING = 14


@final
@dataclass(frozen=True)
class RunCrashCount:
    """What came of the power cuts.

    Attributes:
        states: different states: what is on the disk, and what was acknowledged.
        refused: states in which the run could not have been begun again.
        lost: states in which a checkpoint that was acknowledged, and not yet to be
            pruned, was not there, or not whole.
        short: states with a checkpoint whose log or history was not all there.
    """

    states: int = 0
    refused: int = 0
    lost: int = 0
    short: int = 0

    @property
    def bad(self) -> int:
        return self.refused + self.lost + self.short

    def __add__(self, other: "RunCrashCount") -> "RunCrashCount":
        return RunCrashCount(
            self.states + other.states,
            self.refused + other.refused,
            self.lost + other.lost,
            self.short + other.short,
        )


def text_at(step: int) -> str:
    """Give the log up to the checkpoint of a step."""
    return "".join(f"step {i}\n" + f"after {i}\n" * (i < step) for i in steps_to(step))


def steps_to(step: int) -> range:
    """Give the numbers of steps up to one, from 1."""
    return range(1, step + 1)


def record_run() -> list[Call]:
    """Give the calls of a run that saves three times, is left, and saves twice more.

    Between them stand two marks, calls of no verb: "acknowledge", when a checkpoint is
    committed, and "forget", when one is about to be pruned.
    """
    with scratch() as base:
        recorder = _Recorder(Path(base))
        recorder.run(saves=3)
        recorder.run(saves=2)
        return recorder.at_home()


def record_killed_runs(*, stride: int = 1) -> Iterator[list[Call]]:
    """Give traces in which a process is killed, and another one goes on.

    The first is killed before its k-th change of the disk, for k = 1, 2, ... until it
    comes to the end of its second save; the other one saves once. The mark between
    them is "restart".

    Args:
        stride: leave out kills between every so many, after those of the opening.
    """
    for at in itertools.count(1):
        if at > _OPENING and at % stride:
            continue
        with scratch() as base:
            recorder = _Recorder(Path(base), changes_left=at - 1)
            if not recorder.run(saves=2):
                return
            recorder.changes_left = None
            recorder.calls.append(Call("restart", recorder.base))
            recorder.run(saves=1)
            yield recorder.at_home()


@final
class _Recorder(AbstractWatch):
    def __init__(self, base: Path, changes_left: int | None = None) -> None:
        self.base = base
        self.calls: list[Call] = []
        self.changes_left = changes_left

    def run(self, *, saves: int) -> bool:
        """Begin a run, or go on with it; tell whether it was killed."""
        folder = self.base / "run"
        files = RunFiles(folder, Keep(last=1))
        with ExitStack() as stack:
            stack.enter_context(watched(folder, self, names=_NAMES))
            for name in ("commit", "prune"):
                mine = getattr(self, f"_{name}")(getattr(Store, name))
                stack.enter_context(patch.object(Store, name, mine))
            try:
                _save(files, saves)
            except GoneError:
                return True
            finally:
                stack.close()
                with suppress(GoneError):
                    files.drain()
                files.close()
        return False

    def at_home(self) -> list[Call]:
        """Give the calls under the paths of the model."""
        return [
            Call(
                call.verb,
                HOME / call.path.relative_to(self.base),
                call.target and HOME / call.target.relative_to(self.base),
                call.content,
                call.size,
            )
            for call in self.calls
            if call.verb in (*CHANGES, "acknowledge", "forget", "restart")
        ]

    def call(self, call: Call, act: Callable[[], Any]) -> Any:
        if call.verb in CHANGES:
            self._die_if_due()
        result = act()
        self.calls.append(call)
        return result

    def connect(self, path: Path, act: Callable[[], Any]) -> Any:
        if not path.exists():
            self._die_if_due()
            self.calls.append(Call("create", path))
        return act()

    def statement(
        self,
        connection: sqlite3.Connection,
        path: Path,
        words: str,
        act: Callable[[], Any],
    ) -> Any:
        if words == "COMMIT":
            self._die_if_due()
        result = act()
        if words == "COMMIT":
            with closing(sqlite3.Connection(path)) as reader:
                rows = json.dumps("\n".join(reader.iterdump()))
            self.calls.append(Call("append", path, content=rows.encode() + b"\n"))
            if connection.execute("PRAGMA synchronous").fetchone()[0] >= _FULL:
                self.calls.append(Call("sync", path))
        return result

    def _die_if_due(self) -> None:
        if self.changes_left is not None:
            if self.changes_left == 0:
                raise GoneError
            self.changes_left -= 1

    def _commit(self, whole: Callable[..., str]) -> Callable[..., str]:
        def commit(store: Store, checkpoint: Checkpoint) -> str:
            name = whole(store, checkpoint)
            self.calls.append(Call("acknowledge", self.base / name))
            return name

        return commit

    def _prune(self, whole: Callable[..., Any]) -> Callable[..., Any]:
        def prune(store: Store, keep: list[str]) -> Any:
            others = [name for name in store.names() if name not in keep]
            self.calls += [Call("forget", self.base / name) for name in others]
            return whole(store, keep)

        return prune


def _save(files: RunFiles, saves: int) -> None:
    """Do with a run's files what a loop does, some times."""
    found = files.open(may_continue=True).checkpoint
    if found is None:
        files.begin_anew()
        history, done = History(), 0
    else:
        history, done = files.cut_back(found.meta["files"]), found.step
    files.follow(history)
    for step in range(done + 1, done + saves + 1):
        if step > 1:
            files.write(f"after {step - 1}")
        values = {"loss": np.array([step / 7]), "rate": np.array([1 / step])}
        history.record_steps("train", values, np.array([step]))
        files.write(f"step {step}")
        files.flush()
        history.record_pass("train", {"loss": step / 7}, step=step, epoch=step)
        history.record_epoch(step, step=step)
        tensors = sample(step).tensors

        def capture(kept: Any, step: int = step, tensors: Any = tensors) -> Checkpoint:
            return Checkpoint(step, tensors, {"files": dict(kept)})

        files.begin_commit(capture, history, step)
        files.drain()
        files.check()


def count_run_crashes(
    calls: Iterable[Call], *, enough: int | None = None
) -> RunCrashCount:
    """Cut the power after each call, in every way.

    Args:
        calls: what `record_run` gave, or a change of it.
        enough: stop when so many bad states were found.
    """
    model = Model()
    promised: tuple[str, ...] = ()
    seen: set[tuple[Tree, tuple[str, ...]]] = set()
    count = RunCrashCount()
    for call in calls:
        if call.verb == "acknowledge":
            promised = (*promised, call.path.name)
        elif call.verb == "forget":
            promised = tuple(name for name in promised if name != call.path.name)
        elif call.verb != "restart":
            model.play(call)
        for tree in model.states():
            if (tree, promised) in seen:
                continue
            seen.add((tree, promised))
            count += _look(tree, promised)
            if enough is not None and count.bad >= enough:
                return count
    return count


def _look(tree: Tree, promised: tuple[str, ...]) -> RunCrashCount:
    """Begin the run again in a state, as far as its files go."""
    top = dict(tree)
    if RUN_FOLDER.name not in top:
        return RunCrashCount(1, lost=int(bool(promised)))
    with scratch() as base:
        folder = Path(base)
        _lay_out(folder, top[RUN_FOLDER.name])
        try:
            return _begin_again(folder, promised)
        except (FolderError, CheckpointError):
            return RunCrashCount(1, refused=1)


def _lay_out(folder: Path, tree: Tree) -> None:
    assert not isinstance(tree, bytes)
    for name, inner in tree:
        if isinstance(inner, bytes):
            (folder / name).write_bytes(inner)
        else:
            (folder / name).mkdir()
            _lay_out(folder / name, inner)


def _begin_again(folder: Path, promised: tuple[str, ...]) -> RunCrashCount:
    layout = Layout(folder)
    store = Store(layout.checkpoints, run=layout.identify())
    rows = None
    if layout.history.exists():
        lines = layout.history.read_bytes().split(b"\n")[:-1]
        rows = lines[-1] if lines else None
        if rows is None:
            return RunCrashCount(1, refused=1)  # SQLite would find no database there
    sound = [finding.name for finding in store.verify() if finding.ok]
    newest = store.newest().name
    is_older = promised and (newest is None or parse(newest) < parse(promised[-1]))
    lost = is_older or not set(promised) <= set(sound)
    log = Log(layout.log)
    log.open()
    try:
        short = any(
            not _is_about(store.load(name), log, layout, rows) for name in sound
        )
    finally:
        log.close()
    return RunCrashCount(1, lost=int(bool(lost)), short=int(short))


def _is_about(
    checkpoint: Checkpoint, log: Log, layout: Layout, rows: bytes | None
) -> bool:
    """Whether the log and the history are there up to a checkpoint."""
    step, files = checkpoint.step, checkpoint.meta["files"]
    text = text_at(step).encode()
    mark = Mark.from_json(files["history"])
    return (
        files["log"] == len(text)
        and layout.log.read_bytes()[: len(text)] == text
        and (mark.steps, mark.looks, mark.epochs) == (_VALUES * step, step, step)
        and rows is not None
        and _holds(rows, mark)
    )


@lru_cache
def _holds(rows: bytes, mark: Mark) -> bool:
    """Let the run's own code say whether the rows are those of a mark."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(json.loads(rows))
        try:
            verify(connection, Path("history.db"), mark)
        except FolderError:
            return False
    return True
