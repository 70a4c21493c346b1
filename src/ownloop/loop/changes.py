"""What somebody changes between two rounds, in the process that left the first one.

In a notebook a cell is interrupted, the next one lowers the learning rate, and the
epochs are run again. They go on from a checkpoint that is older than the change: here
it is noticed, and put into what is restored.
"""

import contextlib
import hashlib
import json
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple, final

import keras
import numpy as np

from ownloop.checkpoints import Checkpoint, position_of
from ownloop.errors import LoopError
from ownloop.loop.capture import Tracked, memory_text, words_of
from ownloop.loop.run import Run
from ownloop.resume import owned
from ownloop.resume.place import Done

_GONE: Final = object()
"""What is not there."""
_MANY: Final = 5
"""So many changes are named."""


class _Part(NamedTuple):
    """A part of what a run has, which may change by itself.

    kind: "value" or "role" of a variable, "memory", "objects", "flags" or "saved".
    """

    kind: str
    name: str


@final
class Changes:
    """Notices what is changed of a run while it rests, and puts it into a checkpoint.

    Metrics and seeds are left out, which change by a mere look at a model.

    Args:
        run: The run.
        tracked: Names its variables.
    """

    def __init__(self, run: Run, tracked: Tracked) -> None:
        self._run = run
        self._tracked = tracked
        # How everything was when a round was left; None: nobody has looked.
        self._left: Mapping[_Part, Any] | None = None
        # What was changed since, and which checkpoint was the newest then.
        self._changed: dict[_Part, Any] = {}
        self._after: str | None = None
        # Each pass starts these from zero.
        self._metrics: weakref.WeakSet[keras.Metric] = weakref.WeakSet()

    def meet(self, metrics: tuple[keras.Metric, ...]) -> None:
        """Takes note of metrics that a step uses, whoever owns them."""
        self._metrics.update(metrics)

    def note(self) -> None:
        """Takes note of how everything is, where a round is left."""
        self._left = None
        # Something of the user's may refuse to be looked at. The round ends all the
        # same, and they hear of it where the run is saved.
        with contextlib.suppress(Exception):
            self._left = self._look()

    def collect(self, newest: str | None) -> None:
        """Takes note of what was changed since, where the next round is entered.

        Args:
            newest: The name of the newest checkpoint.

        Raises:
            LoopError: Something in `loop.memory` was changed, and cannot be saved.
        """
        self.forget_saved(newest)
        if self._left is None:
            return
        left, now = self._left, self._look()
        changed = [part for part in {**left, **now} if not _same(part, left, now)]
        self._changed |= {part: self._present(part, now) for part in changed}
        self._left, self._after = None, newest

    def forget(self) -> None:
        """Forgets all: another loop has gone on with the run."""
        self._left, self._changed = None, {}

    def forget_saved(self, newest: str | None) -> None:
        """Forgets what was changed before the newest checkpoint: that has it."""
        if _is_later(newest, self._after):
            self._changed = {}

    def put_into(self, checkpoint: Checkpoint) -> Checkpoint:
        """Returns a checkpoint as it would be had those changes been made before it."""
        tensors, words = dict(checkpoint.tensors), dict(checkpoint.meta)
        memory = json.loads(words["memory"])
        for kind in ("objects", "flags", "saved"):
            words[kind] = dict(words[kind])
        for (kind, name), value in self._changed.items():
            if kind == "value" and name in tensors:
                tensors[name] = replace(tensors[name], array=value.array)
            elif kind == "role" and name in tensors:
                tensors[name] = replace(tensors[name], role=value)
            elif kind == "memory":
                _put(memory, name, value, json.loads)
            elif kind in ("objects", "flags"):
                _put(words[kind], name, value)
            elif kind == "saved":
                prefix = f"saved/{name}/"
                tensors = {n: e for n, e in tensors.items() if not n.startswith(prefix)}
                words[kind].pop(name, None)
                if value is not _GONE:
                    tensors |= {f"{prefix}{n}": e for n, e in value.entries.items()}
                    words[kind][name] = json.dumps(value.states)
        words["memory"] = json.dumps(memory)
        words["place"] = self._put_into_place(words["place"])
        return replace(checkpoint, tensors=tensors, meta=words)

    def _put_into_place(self, place: Mapping[str, Any]) -> Mapping[str, Any]:
        """Puts it into what `loop.memory` held when the epoch under way began."""
        begun = None if place["begun"] is None else Done(*place["begun"])
        if begun is None or begun.memory is None:
            return place
        memory = json.loads(begun.memory)
        for (kind, name), value in self._changed.items():
            if kind == "memory":
                _put(memory, name, value, json.loads)
        return {**place, "begun": list(begun._replace(memory=json.dumps(memory)))}

    def __str__(self) -> str:
        """Names what was changed; empty if nothing was."""
        names = list(dict.fromkeys(self._in_words(part) for part in self._changed))
        more = len(names) - _MANY
        return ", ".join(names[:_MANY]) + (f" and {more} more" if more > 0 else "")

    def _in_words(self, part: _Part) -> str:
        if part.kind in ("value", "role"):
            variable = self._tracked.names.variables().get(part.name)
            return part.name if variable is None else str(variable.path)
        if part.kind == "memory":
            return f"loop.memory[{part.name!r}]"
        return f"loop.save({part.name!r})" if part.kind == "saved" else part.name

    def _look(self) -> dict[_Part, Any]:
        """Returns by what each part can be told from what it was."""
        found: dict[_Part, Any] = {}
        for name, variable in self._lasting().items():
            # One after the other: the state need not fit into memory once more.
            entry = owned.entries_of({name: variable})[name]
            found[_Part("value", name)] = _digest(entry.array)
            found[_Part("role", name)] = entry.role
        words = words_of(self._run)
        for kind in ("objects", "flags"):
            found |= {_Part(kind, name): value for name, value in words[kind].items()}
        for name, kept in self._run.saved.items():
            found[_Part("saved", name)] = kept
        for key, value in self._run.memory.items():
            with contextlib.suppress(LoopError):
                value = memory_text({key: value})
            found[_Part("memory", str(key))] = value
        return found

    def _present(self, part: _Part, now: Mapping[_Part, Any]) -> Any:
        """Returns what a part is now, as it is put into a checkpoint."""
        if part.kind == "value":
            variable = self._tracked.names.variables()[part.name]
            return owned.entries_of({part.name: variable})[part.name]
        if part.kind == "memory" and part in now:
            memory_text(self._run.memory)  # Or it is refused here.
        return now.get(part, _GONE)

    def _lasting(self) -> dict[str, keras.Variable]:
        """Returns the variables that only change when somebody means it."""
        metrics = {id(v) for metric in self._metrics for v in metric.variables}
        for thing in self._run.objects.values():
            if isinstance(thing, keras.Metric):
                metrics |= {id(variable) for variable in thing.variables}
            elif isinstance(thing, keras.Layer):
                metrics |= {id(variable) for variable in thing.metrics_variables}
        return {
            name: variable
            for name, variable in self._tracked.names.variables().items()
            if id(variable) not in metrics and not owned.is_seed(variable)
        }


def _same(part: _Part, left: Mapping[_Part, Any], now: Mapping[_Part, Any]) -> bool:
    if part.kind in ("value", "role", "flags") and not (part in left and part in now):
        return True  # What was built in between, as by its first call, is no change.
    before, after = left.get(part, _GONE), now.get(part, _GONE)
    return before is after or (
        isinstance(before, str | bytes | bool) and before == after
    )


def _put(words: dict[str, Any], name: str, value: Any, read: Any = None) -> None:
    if value is _GONE:
        words.pop(name, None)
    elif read is None:
        words[name] = value
    else:
        words |= read(value)


def _is_later(name: str | None, other: str | None) -> bool:
    """Whether a checkpoint came after another one, or is the first."""
    if name is None or other is None:
        return name is not None
    mine, others = position_of(name), position_of(other)
    return mine is not None and others is not None and mine > others


def _digest(array: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
