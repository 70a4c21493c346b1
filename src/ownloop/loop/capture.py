"""The whole state of a run as named arrays and JSON, and back.

What is in it: the variables of all objects and steps, objects with a state of their
own, random generators, counters, the place in the user's code, `loop.memory`, what
`loop.save` has kept, and observers that have a state. The history and the log lie in
files of their own; here is only how long they were.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ownloop.checkpoints import Checkpoint, Entry
from ownloop.errors import LoopError
from ownloop.loop.run import Run
from ownloop.resume import owned, randomness
from ownloop.resume.calls import Open, Place
from ownloop.resume.waiting import Waiting, counts, entries_of


def capture(run: Run, open: Open | None, files: Mapping[str, Any]) -> Checkpoint:
    """Copies the state of a run to the host.

    Args:
        run: The run, between two stretches of steps.
        open: Where the pass under way stands, if one is.
        files: How much of the run's files belongs to this state.
    """
    variables = run.names.variables()
    arrays, generators = randomness.read()
    tensors = (
        run.waiting.entries
        | entries_of(variables)
        | {name: Entry(array, "random") for name, array in arrays.items()}
    )
    for name, kept in run.saved.items():
        tensors |= {f"saved/{name}/{n}": entry for n, entry in kept.entries.items()}
    meta = {
        "place": run.calls.place(open).to_json(),
        "epoch": run.epoch,
        "memory": _text("loop.memory", run.memory),
        "steps": run.names.steps,
        "counts": counts(tensors),
        "random": generators,
        "objects": {
            n: _text(f"{n}.get_state()", state)
            for n, state in owned.states(run.objects).items()
        },
        "saved": {n: _text("loop.save", k.states) for n, k in run.saved.items()},
        "observers": [
            _text("an observer's get_state()", state)
            for state in _observer_states(run)
        ],
        "data": run.data.positions(),
        "fingerprint": run.fingerprint,
        "passes": run.passes,
        "inexact": run.inexact,
        "files": dict(files),
    }
    return Checkpoint(step=run.step, tensors=tensors, meta=meta)


def restore(run: Run, checkpoint: Checkpoint, name: str) -> None:
    """Puts a run where it was when `capture` was called.

    Variables that do not exist yet get their values when they are found.

    Raises:
        CheckpointError: The objects differ; nothing was changed.
    """
    meta = checkpoint.meta
    run.names.expect(meta["steps"])
    assign(run, checkpoint, name)
    run.step, run.epoch = checkpoint.step, meta["epoch"]
    run.data.go_to(meta["data"])
    run.inexact = run.inexact or meta["inexact"]
    run.passes = dict(meta["passes"])
    run.saved = {
        n: owned.Saved(
            _under(f"saved/{n}/", checkpoint.tensors), json.loads(states)
        )
        for n, states in meta["saved"].items()
    }
    for observer, state in zip(_stateful(run), meta["observers"], strict=False):
        observer.set_state(json.loads(state))


def assign(run: Run, checkpoint: Checkpoint, name: str) -> None:
    """Assigns what the user's own code may have changed on its way back."""
    meta = checkpoint.meta
    waiting = {
        n: entry
        for n, entry in checkpoint.tensors.items()
        if not n.startswith(("random/", "saved/"))
    }
    run.waiting = Waiting(waiting, origin=f"The checkpoint {name}")
    run.waiting.assign(run.names.variables(), meta["counts"])
    run.counts = meta["counts"]
    owned.put_states(
        run.objects, {n: json.loads(text) for n, text in meta["objects"].items()}
    )
    arrays = {
        n: np.asarray(entry.array)
        for n, entry in checkpoint.tensors.items()
        if n.startswith("random/")
    }
    randomness.write(arrays, meta["random"])
    run.memory.clear()
    run.memory.update(json.loads(meta["memory"]))


def place_of(checkpoint: Checkpoint) -> Place:
    """Returns where in the user's code a checkpoint was taken."""
    return Place.from_json(checkpoint.meta["place"])


def _under(prefix: str, tensors: Mapping[str, Entry]) -> dict[str, Entry]:
    return {
        name.removeprefix(prefix): entry
        for name, entry in tensors.items()
        if name.startswith(prefix)
    }


def _stateful(run: Run) -> list[Any]:
    return [o for o in run.observers if owned.is_stateful(o)]


def _observer_states(run: Run) -> list[Any]:
    return [observer.get_state() for observer in _stateful(run)]


def _text(what: str, value: Any) -> str:
    """Writes the user's own values as JSON; infinity and NaN are allowed here."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise LoopError(
            f"{what} holds {value!r:.200}, which cannot be saved: {error}. Expected "
            "dicts with strings as keys, lists, strings, numbers, booleans and None. "
            "Keep arrays in a keras.Variable that `Loop(...)` owns."
        ) from error
