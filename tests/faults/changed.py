"""Another script, machine or setting than the one that began the run.

Each change is refused with the name of what differs; with `resume="inexact"` the run
goes on, and says in its state that it did. Where the objects themselves differ it is
refused all the same.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server
from ownloop.checkpoints import Checkpoint, Store
from ownloop.folder import Layout, RunLock

_Case = Callable[[Server, Path], str]
"""Goes on in a copy of the folder; gives what came instead of what was expected."""

SETTINGS: dict[str, tuple[Mapping[str, Any], str]] = {
    "threads": (
        {"environment": {"OMP_NUM_THREADS": "2"}},
        "OMP_NUM_THREADS was '1' and is '2'",
    ),
    "processors": ({"processors": 1}, "processors was"),
    "batch size": (
        {"settings": {"changes": ["batch size"]}},
        "data batch size was 8 and is 16",
    ),
    "data": ({"settings": {"changes": ["data"]}}, "data values are others"),
    "code": ({"settings": {"changes": ["code"]}}, "pass 'train': the code of the step"),
    "number": (
        {"settings": {"changes": ["number"]}},
        "train_step reads other values or code: noise was 0.01 and is 0.02",
    ),
    "dtype policy": (
        {"settings": {"changes": ["dtype policy"]}},
        "dtype policy was 'float32' and is 'mixed_bfloat16'",
    ),
    "dropout": (
        {"settings": {"changes": ["dropout"]}},
        "dropout.rate was 0.3 and is 0.4",
    ),
    "decay": (
        {"settings": {"changes": ["decay"]}},
        "adam_w.weight_decay was 0.004 and is 0.1",
    ),
    "trainable": (
        {"settings": {"changes": ["trainable"]}},
        "hidden.trainable was True and is False",
    ),
    "compile": ({"settings": {"compile": False}}, "compile was True and is False"),
}
"""By what is changed: how, and what the refusal says."""

OBJECTS: dict[str, str] = {
    "width": "hidden.units was 8 and is 9",
    "name": "sequential/renamed/kernel",
    "added layer": "dense.units was 2 and is 8",
    "removed bias": "dense.use_bias was True and is False",
    "optimizer": "optimizer was AdamW and is SGD",
}
"""By what is changed of the objects: what the refusal says."""


@final
@dataclass(frozen=True)
class ChangedCount:
    """What came of it.

    Attributes:
        changes: how many things were changed.
        refused: those that were refused by name.
        marked: those that went on with `resume="inexact"` and were marked.
        expected: how many should.
        errors: what came instead.
    """

    changes: int
    refused: int
    expected: int
    marked: int
    errors: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return self.refused == self.changes and self.marked == self.expected


def count_changed(
    servers: Sequence[Server], base: Path, expected: Outcome, *, at: int = 42
) -> ChangedCount:
    """Kill a run in the middle of a pass, and go on with every change."""
    start = base / "start"
    shutil.rmtree(start, ignore_errors=True)
    begin = Attempt(str(start), kind="step", at=at, settled=True)
    killed = servers[0].attempt(begin)
    if not killed.killed:
        raise AssertionError(f"{killed.error}\n{killed.output}")
    refusals, marks = list(_refusals(expected)), list(_marks())
    cases, lock = iter([*refusals, *marks]), threading.Lock()

    def work(server: Server, folder: Path) -> list[tuple[_Case, str]]:
        found = []
        while True:
            with lock:
                case = next(cases, None)
            if case is None:
                return found
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(start, folder)
            found.append((case, case(server, folder)))

    with ThreadPoolExecutor(len(servers)) as pool:
        folders = [base / f"changed-{i}" for i in range(len(servers))]
        found = [f for some in pool.map(work, servers, folders) for f in some]
    bad = {case for case, error in found if error}
    return ChangedCount(
        changes=len(refusals),
        refused=len(refusals) - len(bad & set(refusals)),
        expected=len(marks),
        marked=len(marks) - len(bad & set(marks)),
        errors=tuple(error for _, error in found if error),
    )


def _refusals(expected: Outcome) -> Iterator[_Case]:
    for change, words in SETTINGS.values():
        yield _refused(change, words)
    for name, words in OBJECTS.items():
        yield _refused({"settings": {"changes": [name]}}, words)
        settings = {"changes": [name], "resume": "inexact"}
        yield _refused({"settings": settings}, "")
    yield _refused({"settings": {"resume": False}}, "has a run in it")
    yield _locked
    yield _of_another_version
    yield lambda server, folder: _the_same_model(server, folder, expected)


def _marks() -> Iterator[_Case]:
    for name, (change, _) in SETTINGS.items():
        yield _marked(name, change)


def _refused(change: Mapping[str, Any], words: str) -> _Case:
    """Give a case that is refused with these words."""

    def case(server: Server, folder: Path) -> str:
        outcome = server.attempt(replace(Attempt(str(folder)), **change))
        if not outcome.done and outcome.error and words in outcome.error:
            return ""
        return f"{words!r} was not said: {outcome.error or outcome.status}"

    return case


def _marked(name: str, change: Mapping[str, Any]) -> _Case:
    """Give a case that goes on with `resume="inexact"`, and is marked."""

    def case(server: Server, folder: Path) -> str:
        attempt = replace(Attempt(str(folder)), **change)
        settings = {**(attempt.settings or {}), "resume": "inexact"}
        outcome = server.attempt(replace(attempt, settings=settings))
        told = any("continuing inexactly" in notice for notice in outcome.notices)
        items = outcome.items or {}
        if outcome.done and told and items["checkpoint meta inexact"] == "true":
            return ""
        return f"{name}, inexact: {outcome.error or outcome.notices}"

    return case


def _locked(server: Server, folder: Path) -> str:
    """A second process is kept out while another one has the folder."""
    lock = RunLock(Layout(folder).lock)
    lock.acquire()
    try:
        outcome = server.attempt(Attempt(str(folder)))
    finally:
        lock.release()
    if "is in use by process" in outcome.error:
        return ""
    return f"a second process: {outcome.error or outcome.status}"


def _of_another_version(server: Server, folder: Path) -> str:
    """A checkpoint of another Keras is refused, with both versions."""
    layout = Layout(folder)
    store = Store(layout.checkpoints, run=layout.read_identity())
    found = store.newest().checkpoint
    assert found is not None
    fingerprint = found.meta["fingerprint"] | {"keras": "0.0.1"}
    meta = {**found.meta, "fingerprint": fingerprint}
    store.commit(Checkpoint(found.step, found.tensors, meta))
    outcome = server.attempt(Attempt(str(folder)))
    if "keras was '0.0.1' and is '" in outcome.error:
        return ""
    return f"another version: {outcome.error or outcome.status}"


def _the_same_model(server: Server, folder: Path, expected: Outcome) -> str:
    """A model that Keras numbers otherwise is known, and goes on exactly."""
    settings = {"changes": ["model built second"]}
    outcome = server.attempt(Attempt(str(folder), settings=settings))
    names = [
        name
        for name in differing(expected, outcome)
        # Their names hold the number, or a path that does.
        if not name.startswith(("last", "variable", "checkpoint"))
    ]
    if outcome.done and not names:
        return ""
    return f"the same model, built second: {outcome.error or names}"
