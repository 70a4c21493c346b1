"""What somebody changes between two rounds, in the process that left the first one.

In a notebook a cell is interrupted, the next one lowers the learning rate, and the
epochs are run again. They go on from a checkpoint that is older than the change: here
it is noticed, and put into what is restored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import keras
import numpy as np

from ownloop.checkpoints import Checkpoint, Entry
from ownloop.errors import LoopError
from ownloop.loop.capture import saved_entries, words_of
from ownloop.loop.run import Run
from ownloop.resume import owned

_IN_WORDS = {
    "memory": "loop.memory",
    "flags": "trainable flags",
    "objects": "states of objects",
    "saved": "what loop.save has kept",
}
_MANY = 5
"""So many of them are named."""


@final
@dataclass(frozen=True)
class _Look:
    """How all that a run owns was at one instant.

    digests: of variables, by name. words: as `words_of` gives them. saved: by name,
    what `loop.save` had kept.
    """

    digests: Mapping[str, bytes]
    words: Mapping[str, Any]
    saved: Mapping[str, owned.Saved]

    @classmethod
    def at(cls, run: Run) -> "_Look":
        entries = owned.entries_of(_lasting(run.objects))
        digests = {name: _digest(entry) for name, entry in entries.items()}
        return cls(digests, words_of(run), dict(run.saved))


@final
class Changes:
    """Notices what is changed of a run while it rests, and puts it into a checkpoint.

    Metrics and seeds are left out, which change by a mere look at a model.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._left: _Look | None = None
        # Changed since then, and after which checkpoint that was.
        self._entries: dict[str, Entry] = {}
        self._words: dict[str, Any] = {}
        self._saved: dict[str, Entry] = {}
        self._after: str | None = None

    def note(self) -> None:
        """Takes note of how everything is, where a round is left."""
        try:
            self._left = _Look.at(self._run)
        except LoopError:
            # Something of the user's cannot be saved, of which they hear elsewhere.
            self._left = None

    def collect(self, newest: str | None) -> None:
        """Takes note of what was changed since, where the next round is entered.

        Args:
            newest: The name of the newest checkpoint.
        """
        self.forget_saved(newest)
        left, self._left, self._after = self._left, None, newest
        if left is None:
            return
        run, now = self._run, _Look.at(self._run)
        changed = [n for n, d in now.digests.items() if left.digests.get(n, d) != d]
        variables = owned.named(run.objects)
        self._entries |= owned.entries_of({name: variables[name] for name in changed})
        self._words |= {w: v for w, v in now.words.items() if left.words[w] != v}
        if left.saved != now.saved:
            self._words["saved"], self._saved = now.words["saved"], saved_entries(run)

    def forget_saved(self, newest: str | None) -> None:
        """Forgets what was changed before the newest checkpoint: that has it."""
        if newest != self._after:
            self._entries, self._words, self._saved = {}, {}, {}

    def put_into(self, checkpoint: Checkpoint) -> Checkpoint:
        """Returns a checkpoint as it would be if all that had been changed before."""
        tensors = dict(checkpoint.tensors)
        if "saved" in self._words:
            old = [name for name in tensors if name.startswith("saved/")]
            tensors = {n: e for n, e in tensors.items() if n not in old} | self._saved
        tensors |= {n: e for n, e in self._entries.items() if n in tensors}
        return replace(
            checkpoint, tensors=tensors, meta={**checkpoint.meta, **self._words}
        )

    def __str__(self) -> str:
        """Names what was changed; empty if nothing was."""
        paths = [entry.path for entry in self._entries.values()]
        names = [*paths, *(_IN_WORDS[word] for word in self._words)]
        more = len(names) - _MANY
        return ", ".join(names[:_MANY]) + (f" and {more} more" if more > 0 else "")


def _lasting(objects: Mapping[str, Any]) -> dict[str, keras.Variable]:
    """Returns the variables that only change when somebody means it."""
    metrics = {
        id(variable)
        for thing in objects.values()
        if isinstance(thing, keras.Metric | keras.Layer)
        for variable in _metric_variables(thing)
    }
    return {
        name: variable
        for name, variable in owned.named(objects).items()
        if id(variable) not in metrics and not owned.is_seed(variable)
    }


def _metric_variables(thing: keras.Metric | keras.Layer) -> list[keras.Variable]:
    is_metric = isinstance(thing, keras.Metric)
    return list(thing.variables if is_metric else thing.metrics_variables)


def _digest(entry: Entry) -> bytes:
    array = np.ascontiguousarray(entry.array)
    return hashlib.sha256(entry.role.encode() + array.tobytes()).digest()
