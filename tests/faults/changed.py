"""Another script, machine or setting than the one that began the run.

Each change is refused with the name of what differs; with `resume="inexact"` the run
goes on, and says in its state that it did. Where the objects themselves differ it is
refused all the same.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from faults.attempts import Attempt, Outcome, differing
from faults.server import Server
from ownloop.checkpoints import Checkpoint, Store
from ownloop.folder import Layout, RunLock

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
    "data": ({"settings": {"changes": ["data"]}}, "data values was"),
    "code": ({"settings": {"changes": ["code"]}}, "pass 'train': code was"),
    "dtype policy": (
        {"settings": {"changes": ["dtype policy"]}},
        "dtype policy was 'float32' and is 'mixed_bfloat16'",
    ),
    "compile": ({"settings": {"compile": False}}, "compile was True and is False"),
}
"""By what is changed: how, and what the refusal says."""

OBJECTS: dict[str, str] = {
    "width": "model/1 was float32[6, 8]",
    "name": "sequential/renamed/kernel",
    "added layer": "variables differ",
    "removed bias": "uses other variables than in the run",
    "optimizer": "optimizer/1 was float32",
    "trainable": "hidden/kernel.trainable was True and is False",
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
    server: Server, base: Path, expected: Outcome, *, at: int = 42
) -> ChangedCount:
    """Kill a run in the middle of a pass, and go on with every change."""
    start, folder = base / "start", base / "changed"
    shutil.rmtree(start, ignore_errors=True)
    killed = server.attempt(Attempt(str(start), kind="step", at=at))
    if not killed.killed:
        raise AssertionError(f"{killed.error}\n{killed.output}")
    refused = marked = 0
    errors: list[str] = []

    def go_on(attempt: Attempt, words: str) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        outcome = server.attempt(attempt)
        if not outcome.done and words in outcome.error:
            return True
        errors.append(f"{words!r} was not said: {outcome.error or outcome.status}")
        return False

    def go_on_inexactly(attempt: Attempt, name: str) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        outcome = server.attempt(attempt)
        told = any("continuing inexactly" in notice for notice in outcome.notices)
        items = outcome.items or {}
        if outcome.done and told and items["checkpoint meta inexact"] == "true":
            return True
        errors.append(f"{name}, inexact: {outcome.error or outcome.notices}")
        return False

    for name, (change, words) in SETTINGS.items():
        attempt = replace(Attempt(str(folder)), **change)
        refused += go_on(attempt, words)
        settings = {**(attempt.settings or {}), "resume": "inexact"}
        marked += go_on_inexactly(replace(attempt, settings=settings), name)
    for name, words in OBJECTS.items():
        for resume in (True, "inexact"):
            settings = {"changes": [name], "resume": resume}
            said = words if resume is True else ""
            refused += go_on(Attempt(str(folder), settings=settings), said)
    refused += go_on(
        Attempt(str(folder), settings={"resume": False}), "has a run in it"
    )
    refused += _is_locked(server, start, errors)
    refused += _is_of_another_version(server, start, folder, errors)
    refused += _is_the_same_model(server, start, folder, expected, errors)
    changes = len(SETTINGS) + 2 * len(OBJECTS) + 4
    return ChangedCount(changes, refused, len(SETTINGS), marked, tuple(errors))


def _is_locked(server: Server, start: Path, errors: list[str]) -> bool:
    """Whether a second process is kept out while another one has the folder."""
    lock = RunLock(Layout(start).lock)
    lock.acquire()
    try:
        outcome = server.attempt(Attempt(str(start)))
    finally:
        lock.release()
    if "is in use by process" in outcome.error:
        return True
    errors.append(f"a second process: {outcome.error or outcome.status}")
    return False


def _is_of_another_version(
    server: Server, start: Path, folder: Path, errors: list[str]
) -> bool:
    """Whether a checkpoint of another Keras is refused, with both versions."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    layout = Layout(folder)
    store = Store(layout.checkpoints, run=layout.read_identity())
    found = store.newest().checkpoint
    assert found is not None
    fingerprint = found.meta["fingerprint"] | {"keras": "0.0.1"}
    meta = {**found.meta, "fingerprint": fingerprint}
    store.commit(Checkpoint(found.step, found.tensors, meta))
    outcome = server.attempt(Attempt(str(folder)))
    if "keras was '0.0.1' and is '" in outcome.error:
        return True
    errors.append(f"another version: {outcome.error or outcome.status}")
    return False


def _is_the_same_model(
    server: Server, start: Path, folder: Path, expected: Outcome, errors: list[str]
) -> bool:
    """Whether a model that Keras numbers otherwise is known, and goes on exactly."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    settings = {"changes": ["model built second"]}
    outcome = server.attempt(Attempt(str(folder), settings=settings))
    names = [
        name
        for name in differing(expected, outcome)
        if not name.startswith(("last", "variable", "checkpoint"))
    ]
    if outcome.done and not names:
        return True
    errors.append(f"the same model, built second: {outcome.error or names}")
    return False
