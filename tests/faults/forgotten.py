"""The state with one item left out: the tests of the test.

Each entry changes this process, in which a killed run is then continued. The result
must differ from that of a run that was never killed: where it does not, the job does
not need the item, or nobody does.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from ownloop.checkpoints import Checkpoint, Entry
from ownloop.folder import Log
from ownloop.history.database import Database
from ownloop.history.history import History
from ownloop.loop import capture, continuation
from ownloop.loop.continuation import Continuation
from ownloop.loop.run_files import RunFiles
from ownloop.loop.runner import Runner
from ownloop.loop.shared_feed import SharedFeed
from ownloop.resume import owned

Change = Callable[[], None]
"""Changes the library in this process."""


def _without_tensors(sought: Callable[[str, Entry], bool]) -> Change:
    """Leave tensors out of what is read; they must have been there."""

    def edit(checkpoint: Checkpoint) -> Checkpoint:
        kept = {n: e for n, e in checkpoint.tensors.items() if not sought(n, e)}
        if len(kept) == len(checkpoint.tensors):
            raise AssertionError("the checkpoint has no such tensor")
        return replace(checkpoint, tensors=kept)

    return lambda: _edit(edit)


def _with_meta(**values: Any) -> Change:
    """Read other values than were saved."""

    def edit(checkpoint: Checkpoint) -> Checkpoint:
        return replace(checkpoint, meta=checkpoint.meta | values)

    return lambda: _edit(edit)


def _with_place(change: Callable[[dict[str, Any]], object]) -> Change:
    """Read another place in the user's code than was saved."""

    def edit(checkpoint: Checkpoint) -> Checkpoint:
        place = copy.deepcopy(checkpoint.meta["place"])
        change(place)
        return replace(checkpoint, meta=checkpoint.meta | {"place": place})

    return lambda: _edit(edit)


def _with_open(**values: Any) -> Change:
    """Read another place in the pass that was under way."""

    def change(place: dict[str, Any]) -> None:
        if place["open"] is not None:
            place["open"] |= values

    return _with_place(change)


def _with_data(**values: Any) -> Change:
    """Read something else of the data that passes of `steps` share."""

    def edit(checkpoint: Checkpoint) -> Checkpoint:
        data = checkpoint.meta["data"] | values
        return replace(checkpoint, meta=checkpoint.meta | {"data": data})

    return lambda: _edit(edit)


def _with_random(name: str, place: int, value: Any) -> Change:
    def edit(checkpoint: Checkpoint) -> Checkpoint:
        rest = copy.deepcopy(checkpoint.meta["random"])
        rest[name][place] = value
        return replace(checkpoint, meta=checkpoint.meta | {"random": rest})

    return lambda: _edit(edit)


def _edit(edit: Callable[[Checkpoint], Checkpoint]) -> None:
    real = Continuation._continue

    def changed(self: Any, name: str, checkpoint: Checkpoint) -> None:
        real(self, name, edit(checkpoint))

    Continuation._continue = changed


def _without(owner: Any, name: str) -> Change:
    """Let a function do nothing."""
    return lambda: setattr(owner, name, lambda *arguments, **named: None)


def _without_generators() -> None:
    continuation.restore.__globals__["randomness"] = _Silent()


class _Silent:
    """Stands for generators of random numbers that nobody puts back."""

    def read(self) -> Any:
        from ownloop.resume import randomness

        return randomness.read()

    def write(self, *arguments: Any) -> None: ...


def _without_mean() -> None:
    def go_to(self: Any, state: Any) -> None:
        self._reset_before = set(state["reset"])

    Runner.go_to = go_to


def _with_every_line() -> None:
    def print_always(self: Any, text: str) -> None:
        self._files.write(text)

    Continuation.print = print_always


def _with_old_history() -> None:
    """Count what is in the history's file before the latest rows are in it."""
    real = RunFiles.begin_commit

    def begin(self: Any, *arguments: Any) -> None:
        flush = self.flush
        self.flush = lambda: None
        try:
            real(self, *arguments)
        finally:
            del self.flush
        flush()

    RunFiles.begin_commit = begin


def _with_new_lists() -> None:
    """Leave the dicts and lists in `loop.memory` that the code holds by then."""

    def refill(old: dict[str, Any], new: dict[str, Any]) -> None:
        old.clear()
        old.update(new)

    capture.refill = refill


def _with_their_own_lists() -> None:
    """Keep the very lists that objects give, which these go on changing."""
    owned.copy = SimpleNamespace(deepcopy=lambda state: state)


def _without_step() -> None:
    _edit(lambda checkpoint: replace(checkpoint, step=0))


def _path(*words: str) -> Change:
    return _without_tensors(lambda _, entry: any(word in entry.path for word in words))


def _name(start: str) -> Change:
    return _without_tensors(lambda name, _: name.startswith(start))


def _seeds(start: str) -> Change:
    return _without_tensors(
        lambda name, entry: name.startswith(start) and "seed" in entry.path
    )


ITEMS: dict[str, Change] = {
    "the trainable weights": _without_tensors(
        lambda name, entry: name.startswith("model/") and entry.role == "trainable"
    ),
    "the statistics of the normalisation": _path("moving_"),
    "the seeds of the model's layers": _seeds("model/"),
    "the seed of the augmentation": _seeds("model/0"),
    "the optimizer's moments": _path("momentum", "velocity"),
    "the optimizer's count of steps": _path("iteration"),
    "the optimizer's averages": _path("average"),
    "the metric that no object owns": _path("accuracy"),
    "the teacher that no object owns": _path("teacher"),
    "the seed that no object owns": _path("jitter"),
    "Python's generator": _name("random/python"),
    "NumPy's generator": _name("random/numpy"),
    "the framework's generator": _name("random/framework"),
    "Python's spare Gaussian": _with_random("python", 1, None),
    "NumPy's spare Gaussian": _with_random("numpy", 2, 0),
    "all generators": _without_generators,
    "loop.memory": _with_meta(memory="{}"),
    "objects with a state of their own": _with_meta(objects={}),
    "observers with a state": _with_meta(observers=[]),
    "what loop.save has kept": _with_meta(saved={}),
    "the position in data gone on with": _with_data(
        taken={},
        bookmarks={},
        openings={},
        own={},
        keys={},
        habits={},
        fingerprints={},
        guessed=[],
    ),
    "the count of steps": _without_step,
    "the count of epochs": _with_meta(epoch=0),
    "the round": _with_place(lambda place: place.update(round=0)),
    "the epoch of the place": _with_place(lambda place: place.update(epoch=None)),
    "the results of finished calls": _with_place(
        lambda place: place.update(results={})
    ),
    "the count of calls": _with_place(lambda place: place.update(made=1)),
    "the pass under way": _with_place(lambda place: place.update(open=None)),
    "the calls between rounds": _with_place(lambda place: place.update(between=[{}])),
    "why rounds ended": _with_place(
        lambda place: place.update(endings=[None] * len(place["endings"]))
    ),
    "the count of steps that were skipped": _with_meta(skipped=0),
    "that the run was to stop": _with_meta(stopping=None),
    "the batches of the pass": _with_open(batch=1),
    "the steps that nobody has seen": _with_open(unseen=0),
    "the last values of those": _with_open(last={}),
    "the metrics that were reset": _with_open(reset=[]),
    "the mean of the pass": _without_mean,
    "the names of variables by step": _with_meta(steps={}),
    "cutting back the history's file": _without(Database, "cut_back"),
    "cutting back the log": _without(Log, "cut_back"),
    "the history in memory": _without(History, "take_over"),
    "putting all back on return": _without(Continuation, "_return"),
    "silence on the way back": _with_every_line,
}
"""By what is forgotten. The framework's generator is a state on PyTorch only."""

WRITERS: dict[str, Change] = {
    "saved before the history is written": _with_old_history,
}
"""Changes of the process that is killed, not of the one that goes on."""

WANDERINGS: dict[str, Change] = {
    "the weights of the second model": _path("sequential_1"),
    "the moments of the second optimizer": _path("adam_1"),
    "which layers were frozen": _without(continuation, "assign_flags"),
    "what optimizers were built for": _with_meta(optimizers={}),
    "how far rounds came": _with_place(lambda place: place.update(ends=[])),
    "which rounds were left": _with_place(lambda place: place.update(left=[])),
    "which calls a body made": _with_place(lambda place: place.update(bodies={})),
    "how far shared data were used": _with_data(taken={}),
    "which data are usual at a place": _with_data(habits={}),
    "how far streams were read": _with_data(bookmarks={}),
    "what data are known by": _with_data(fingerprints={}),
    "what was drawn and not used": _without(SharedFeed, "go_back"),
    "the lists in loop.memory that are held": _with_new_lists,
    "copies of the lists of an object": _with_their_own_lists,
}
"""What the ways of `wanderer` need beside."""

CHANGES = ITEMS | WRITERS | WANDERINGS
"""All of them."""


def jobs() -> dict[str, str]:
    """Say by the name of each change which job needs what it forgets."""
    return {n: "wanderer" if n in WANDERINGS else "job" for n in CHANGES}
