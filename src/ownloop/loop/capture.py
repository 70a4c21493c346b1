"""The whole state of a run as named arrays and JSON, and back.

What is in it: the variables of all objects and steps, objects with a state of their
own, random generators, counters, the place in the user's code, `loop.memory`, what
`loop.save` has kept, and observers that have a state. The history and the log lie in
files of their own; here is only how long they were.
"""

import contextlib
import copy
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from ownloop.checkpoints import Checkpoint, Entry
from ownloop.errors import CheckpointError, LoopError
from ownloop.loop.plain_values import text_of
from ownloop.loop.run import Run
from ownloop.resume import models, optimizers, owned, randomness
from ownloop.resume.calls import Calls
from ownloop.resume.names import Names
from ownloop.resume.parts import is_rate
from ownloop.resume.place import Open, Place
from ownloop.resume.plain import put_back, set_apart
from ownloop.resume.waiting import Waiting
from ownloop.step import flags_of, put_flags


@final
@dataclass
class Tracked:
    """What is known of a run beside its numbers.

    Attributes:
        names: Of its variables.
        calls: Where it stands in the user's code.
        waiting: Values whose variables have not been found yet.
        fingerprint: What the process runs on.
        passes: By name, what each pass depends on, the code of all steps that it had,
            where it was met last, and whether its data vary: whether they were others
            in another epoch.
        kinds: By step and shape, and by what it reads, the kind of its program.
        frozen: By step, what its latest programs took from outside, numbers and code:
            each such "values" once, with the "epoch" that had them, the latest last.
        used: The "place" of the outermost call under way, and of its "programs" the
            kind, the variables that they use, and for which shapes they are.
        inexact: Whether it was continued although something differed.
        doubts: What was taken for the script's own choice, in words: it may as well
            have been changed from outside.
    """

    names: Names
    calls: Calls = field(default_factory=Calls)
    waiting: Waiting = field(default_factory=lambda: Waiting({}))
    fingerprint: dict[str, Any] = field(default_factory=dict)
    passes: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, dict[str, str]] = field(default_factory=dict)
    frozen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    used: dict[str, Any] = field(default_factory=dict)
    inexact: bool = False
    doubts: list[str] = field(default_factory=list)


@final
@dataclass(frozen=True)
class Draws:
    """What has been drawn so far, of random numbers and of streams.

    Attributes:
        generators: The states of the generators that a script may draw from.
        positions: How far data were read that are gone on with.
    """

    generators: Mapping[str, Any]
    positions: Mapping[str, Any]

    @classmethod
    def until_now(cls, run: Run) -> "Draws":
        """Reads both; streams must be held meanwhile."""
        return cls(randomness.pack(randomness.read()), run.data.positions())


def capture(
    run: Run,
    tracked: Tracked,
    where: Callable[[], Open | None],
    files: Mapping[str, Any],
    start: Draws | None,
) -> Checkpoint:
    """Copies the state of a run to the host.

    Args:
        run: The run, between two stretches of steps.
        tracked: What is known of it.
        where: Says where the pass under way stands, if one is.
        files: How much of the run's files belongs to this state.
        start: What had been drawn when the call under way began, if one is. It begins
            anew where nothing of it is kept, as a validation does.
    """
    variables = tracked.names.variables()
    with run.data.streams.held():
        open = where()
        draws = Draws.until_now(run) if open is not None or start is None else start
    generators = draws.generators
    tensors = (
        tracked.waiting.entries
        | owned.entries_of(variables)
        | {
            f"random/{name}/{part}": Entry(array, "random")
            for name, state in generators.items()
            for part, array in state.items()
            if part != "rest"
        }
    )
    tensors |= saved_entries(run)
    apart: dict[str, Entry] = {}
    if open is not None:
        open = {**open, "stream": set_apart(open["stream"], apart, "reading")}
    meta = {
        "place": set_apart(tracked.calls.place(open).to_json(), apart),
        "epoch": run.epoch,
        "skipped": run.guard.skipped,
        "stopping": run.stop_reason,
        "memory": memory_text(run.memory),
        **words_of(run),
        "steps": tracked.names.steps,
        "calls": tracked.names.calls,
        "built": _built(run, tracked),
        "holders": owned.holders(run.objects),
        "models": models.built_for(run.objects),
        "optimizers": optimizers.built_for(run.objects, variables),
        "parts": _parts(run),
        "random": {n: s["rest"] for n, s in generators.items() if "rest" in s},
        "observers": [
            text_of("an observer's get_state()", state)
            for state in _observer_states(run)
        ],
        "data": set_apart(draws.positions, apart, "reading"),
        "fingerprint": tracked.fingerprint,
        "passes": tracked.passes,
        "kinds": tracked.kinds,
        "frozen": tracked.frozen,
        # Of no more use when the call is over.
        "used": tracked.used if open is not None else {},
        "inexact": tracked.inexact,
        "doubts": tracked.doubts,
        "files": dict(files),
    }
    # A copy: a thread writes it, while the next calls add what they depend on.
    return Checkpoint(run.step, tensors | apart, copy.deepcopy(meta))


def words_of(run: Run) -> dict[str, Any]:
    """Returns what a run has of the user's own beside arrays and `loop.memory`.

    Raises:
        LoopError: They have put something else there.
    """
    states = owned.states(run.objects)
    return {
        "flags": flags_of(run.objects),
        "objects": {n: text_of(f"{n}.get_state()", s) for n, s in states.items()},
        "saved": {n: text_of("loop.save", k.states) for n, k in run.saved.items()},
    }


def memory_text(memory: Mapping[str, Any]) -> str:
    """Writes `loop.memory`, or a part of it, as JSON.

    Raises:
        LoopError: It would come back as something else.
    """
    return text_of("loop.memory", memory)


def memory_texts(memory: Mapping[str, Any]) -> dict[str, str]:
    """Writes each entry of `loop.memory` by its key, but for what cannot be saved."""
    texts = {}
    for key, value in memory.items():
        with contextlib.suppress(LoopError):
            texts[str(key)] = memory_text({key: value})
    return texts


def saved_entries(run: Run) -> dict[str, Entry]:
    """Returns the arrays that `loop.save` has kept, by their names in a checkpoint."""
    return {
        f"saved/{name}/{n}": entry
        for name, kept in run.saved.items()
        for n, entry in kept.entries.items()
    }


def restore(run: Run, tracked: Tracked, checkpoint: Checkpoint, name: str) -> None:
    """Puts a run where it was when `capture` was called.

    Variables that do not exist yet get their values when they are found.

    Raises:
        CheckpointError: The objects differ; no value was changed.
    """
    meta = checkpoint.meta
    _check_parts(meta["parts"], _parts(run), name)
    paths = {n: entry.path for n, entry in checkpoint.tensors.items()}
    tracked.names.expect(meta["steps"], meta["calls"], paths)
    # First: by its place a variable is known only in what is built.
    models.build(run.objects, meta["models"])
    optimizers.build(run.objects, meta["optimizers"], tracked.names.variables())
    assign(run, tracked, checkpoint, name, is_back=False)
    tracked.fingerprint = dict(meta["fingerprint"])
    tracked.passes, tracked.kinds = dict(meta["passes"]), copy.deepcopy(meta["kinds"])
    tracked.frozen, tracked.used = dict(meta["frozen"]), copy.deepcopy(meta["used"])
    tracked.inexact = tracked.inexact or meta["inexact"]
    tracked.doubts = list(meta["doubts"])
    run.step, run.epoch = checkpoint.step, meta["epoch"]
    run.guard.skipped = meta["skipped"]
    run.data.go_to(put_back(meta["data"], checkpoint.tensors))


def _built(run: Run, tracked: Tracked) -> list[str]:
    """Names the loop's objects that have variables, or will have them."""
    waiting = {name.partition("/")[0] for name in tracked.waiting.entries}
    return [n for n, t in run.objects.items() if owned.variables_of(t) or n in waiting]


def _parts(run: Run) -> dict[str, str]:
    """Names what has a state of its own: the loop's objects, and some observers."""
    observers = {f"observer {i}": o for i, o in enumerate(_stateful(run), start=1)}
    things = run.objects | observers
    return {name: type(thing).__name__ for name, thing in things.items()}


def _check_parts(before: Mapping[str, str], now: Mapping[str, str], name: str) -> None:
    differences = [
        f"{part} was {was} and is {is_now}"
        for part in dict.fromkeys([*before, *now])
        if (was := before.get(part, "not there"))
        != (is_now := now.get(part, "not there"))
    ]
    if differences:
        raise CheckpointError(
            f"The checkpoint {name} does not fit what `Loop(...)` got: "
            f"{'; '.join(differences)}. Expected the objects and observers of the run "
            "that wrote it, under the same names; nothing changed. Hand them in as "
            "then, or choose another folder."
        )


def assign(
    run: Run, tracked: Tracked, checkpoint: Checkpoint, name: str, *, is_back: bool
) -> None:
    """Assigns what the user's own code may have changed on its way back.

    Args:
        run: The run.
        tracked: What is known of it.
        checkpoint: Where it was.
        name: Of the checkpoint.
        is_back: Whether the code has come back to there. Until then an optimizer may
            have a rate in place of the schedule that it had.

    Raises:
        CheckpointError: The objects differ; no value was changed.
    """
    meta = checkpoint.meta
    waiting = {
        n: entry
        for n, entry in checkpoint.tensors.items()
        if not n.startswith(("random/", "saved/", "logged/", "reading/"))
    }
    variables, origin = tracked.names.variables(), f"The checkpoint {name}"
    # An optimizer that has got a schedule never has a rate again.
    waiting = {n: e for n, e in waiting.items() if n in variables or not is_rate(n)}
    if not is_back:
        variables = {
            n: v for n, v in variables.items() if n in waiting or not is_rate(n)
        }
    tracked.waiting = Waiting(waiting, origin=origin, holders=meta["holders"])
    tracked.waiting.assign(variables, meta["built"], owned.holders(run.objects))
    owned.put_states(
        run.objects, {n: json.loads(text) for n, text in meta["objects"].items()}
    )
    randomness.write(randomness.unpack(_generators(checkpoint)))
    run.saved = {
        n: owned.Saved(_under(f"saved/{n}/", checkpoint.tensors), json.loads(states))
        for n, states in meta["saved"].items()
    }
    for observer, state in zip(_stateful(run), meta["observers"], strict=True):
        observer.set_state(json.loads(state))


def assign_memory(run: Run, checkpoint: Checkpoint) -> None:
    """Puts back `loop.memory`, which code on its way back has as it was there."""
    refill(run.memory, json.loads(checkpoint.meta["memory"]))


def put_texts(memory: dict[str, Any], texts: Mapping[str, str | None]) -> None:
    """Puts entries, as `memory_texts` wrote them, into `loop.memory`; None: none."""
    new = {
        key: value for key, value in memory.items() if texts.get(key, "") is not None
    }
    for text in texts.values():
        new |= {} if text is None else json.loads(text)
    refill(memory, new)


def _generators(checkpoint: Checkpoint) -> dict[str, dict[str, Any]]:
    """Returns the states of generators, as `randomness.pack` gave them."""
    states: dict[str, dict[str, Any]] = {}
    for name, entry in checkpoint.tensors.items():
        head, _, rest = name.partition("/")
        if head == "random":
            generator, _, part = rest.partition("/")
            states.setdefault(generator, {})[part] = np.asarray(entry.array)
    for generator, words in checkpoint.meta["random"].items():
        if generator in states:
            states[generator]["rest"] = words
    return states


def assign_flags(run: Run, checkpoint: Checkpoint) -> None:
    """Sets the `trainable` flags of all that the loop owns by name."""
    put_flags(run.objects, checkpoint.meta["flags"])
    for name, variable in owned.named(run.objects).items():
        if name in checkpoint.tensors:
            is_trainable = checkpoint.tensors[name].role == "trainable"
            if variable.trainable != is_trainable:
                variable.trainable = is_trainable


def refill(old: Any, new: Any) -> Any:
    """Changes what is there into something new, and leaves its dicts and lists.

    The user's code may hold them already, as in `seen = loop.memory["seen"]`.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        kept = {key: refill(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(kept)
        return old
    if isinstance(old, list) and isinstance(new, list):
        both = itertools.zip_longest(old[: len(new)], new)
        old[:] = [refill(before, value) for before, value in both]
        return old
    return new


def of_objects(run: Run, checkpoint: Checkpoint) -> owned.Saved:
    """Returns what a checkpoint has of the loop's own objects."""
    entries = {
        name: entry
        for name, entry in checkpoint.tensors.items()
        if name.partition("/")[0] in run.objects
    }
    states = {n: json.loads(t) for n, t in checkpoint.meta["objects"].items()}
    return owned.Saved(entries, states)


def place_of(checkpoint: Checkpoint) -> Place:
    """Returns where in the user's code a checkpoint was taken."""
    return Place.from_json(put_back(checkpoint.meta["place"], checkpoint.tensors))


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
