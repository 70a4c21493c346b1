"""What is said of a step that is compiled: why again, and what would serve better.

Each thing once. It decides nothing: `programs` knows whether something is compiled.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, final

from ownloop.backends.contract import EAGER, FUSED, STEPWISE, AbstractProgram
from ownloop.data import Signature
from ownloop.loop.shelf import Shelf, Step, step_name
from ownloop.step import NamedMetric, RunningValue, code_of

_MANY: Final = 3
"""After so many compilations for one reason, its user is told a better way."""

_MANY_SHAPES: Final = 4
"""Of so many shapes of a step's batches each is said."""
_OF_SHAPES: Final = "many shapes"
_RUNS: Final = {
    # Its reason says itself what it is without.
    FUSED: "runs",
    STEPWISE: "runs one batch at a time:",
    EAGER: "runs eagerly:",
}
"""How a step runs, by its program's kind, in front of the reason."""


@final
class Advice:
    """Says what a user should know of compiled steps, each once in a loop.

    Args:
        say: Is told, in a sentence.
        epoch: Says which one is under way.
    """

    def __init__(
        self, say: Callable[[str], None], epoch: Callable[[], int | None]
    ) -> None:
        self._say = say
        self._epoch = epoch
        self._changes: Counter[tuple[str, str]] = Counter()
        self._made: dict[Hashable, set[int]] = {}
        self._told: set[tuple[str, str, str]] = set()

    def announce(
        self, step: Step, signature: Signature | None, shelf: Shelf, why: str
    ) -> None:
        """Says that a step is compiled now, and why again; of many shapes once."""
        compiled = [entry for entry in shelf.entries if entry.seen is not None]
        if not compiled:
            self._say(f"compiling {step_name(step)}")
            return
        if not why and any(entry.settings[0] == signature for entry in compiled):
            why = "a `trainable` flag, or one of Keras' defaults, has changed"
        met = {entry.settings[0] for entry in compiled}
        if not why and len(met) >= _MANY_SHAPES:
            self._tell_many_shapes(step, shelf, len(met) + 1)
            return
        is_first = signature == compiled[0].settings[0]
        shapes = "" if is_first else f" for batches of {signature}"
        again = " again" if why else ""
        self._say(f"compiling {step_name(step)}{again}{shapes}{': ' * bool(why)}{why}")

    def _tell_many_shapes(self, step: Step, shelf: Shelf, count: int) -> None:
        if _OF_SHAPES not in shelf.said:
            shelf.said.add(_OF_SHAPES)
            self._say(
                f"{step_name(step)} is compiled for each shape of its batches, by now "
                f"{count}: pad them to a few lengths, and leave out a shorter last "
                "batch with `drop_remainder=True`; of further shapes nothing is said"
            )

    def tell_kind(self, step: Step, shelf: Shelf, program: AbstractProgram) -> None:
        """Says why a program is not of the best kind, if it is not."""
        if program.reason and program.reason not in shelf.said:
            shelf.said.add(program.reason)
            self._say(f"{step_name(step)} {_RUNS[program.kind]} {program.reason}")

    def tell_effects(self, shelf: Shelf, words: Mapping[str, str]) -> None:
        """Says what a step has changed in Python, each name once."""
        for name in [name for name in words if name not in shelf.said]:
            shelf.said.add(name)
            self._say(words[name])

    def tell_draws(self, step: Step) -> None:
        """Says that random numbers were drawn, which every step will use."""
        self._say(
            f"{step_name(step)} has drawn random numbers with NumPy or Python "
            "while it was compiled: every step uses the same ones, unless a "
            "layer was built with them. Draw with keras.random, or hand them "
            "in as data"
        )

    def tell_late(
        self, step: Step, shelf: Shelf, changed: Iterable[tuple[str, str]]
    ) -> None:
        """Says which numbers and flags a compiled pass takes up too late."""
        for name, words in changed:
            if name not in shelf.own | shelf.late:
                shelf.late.add(name)
                self._say(
                    f"{words} since this pass began: {step_name(step)} is compiled, "
                    "and takes that up when its next pass begins; as a keras.Variable, "
                    "changed with assign, it would count at once"
                )

    def tell_running_values(self, step: Step, values: Iterable[RunningValue]) -> None:
        """Says which metrics' values a step logs, whose average is not theirs."""
        for value in values:
            if not self._is_news("running", step, value.name):
                continue
            better = f'the metric itself, as in {{"{value.name}": metric}}'
            if value.is_part:
                better = "the metrics that it consists of, each by a name"
            self._say(
                f"{step_name(step)} logs {value.name!r}, which is the result() of the "
                f"metric {value.metric}: a running value, whose average over the pass "
                f"is wrong; return {better}"
            )

    def tell_reset_metrics(self, step: Step, metrics: Iterable[NamedMetric]) -> None:
        """Says which metrics a step logs of which only the last batch is left."""
        for name, metric in metrics:
            owner = metric()
            if owner is not None and self._is_news("reset", step, name):
                self._say(
                    f"{step_name(step)} resets the metric {owner.name}, which it logs "
                    f"as {name!r}: its value over the pass is that of the last batch; "
                    "leave out reset_state, since each pass starts from zero, or log "
                    "result() for the mean over the batches"
                )

    def tell_idle_metrics(self, step: Step, metrics: Iterable[tuple[str, str]]) -> None:
        """Says which metrics a step logs that were not updated, by both their names."""
        for name, metric in metrics:
            if self._is_news("idle", step, name):
                self._say(
                    f"{step_name(step)} logs the metric {metric} as {name!r} and has "
                    "not updated it; call its update_state in the step"
                )

    def _is_news(self, what: str, step: Step, name: str) -> bool:
        key = what, step_name(step), name
        is_news = key not in self._told
        self._told.add(key)
        return is_news

    def count_change(self, step: Step, name: str) -> None:
        """Counts how often a number has changed, for which a step is compiled."""
        key = step_name(step), name
        self._changes[key] += 1
        if self._changes[key] == _MANY:
            self._say(
                f"{name} has changed {_MANY} times, and {key[0]} is compiled for each "
                "value; as a keras.Variable, changed with assign, it would be "
                "compiled once"
            )

    def count_made(self, step: Step) -> None:
        """Counts the epochs that have brought another function of the same code."""
        code, epoch = code_of(step), self._epoch()
        if code is None or epoch is None:
            return
        place = code.co_filename, code.co_firstlineno, code.co_qualname
        epochs = self._made.setdefault(place, set())
        if epoch not in epochs and len(epochs) < _MANY:
            epochs.add(epoch)
            if len(epochs) == _MANY:
                self._say(
                    f"{step_name(step)} was a new function in {_MANY} epochs, made "
                    "by the same lines, and each one was compiled; one that is defined "
                    "once, outside of the loop, is compiled once"
                )
