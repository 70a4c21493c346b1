"""Compiled programs: taken from a step's shelf, compiled anew when they must be.

Threads that use one step wait for each other where it is compiled.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, final

import keras
import numpy as np

from ownloop import backends
from ownloop.backends.contract import EAGER, AbstractProgram, LeafSpec
from ownloop.backends.unseeded import unseeded_state
from ownloop.data import Signature
from ownloop.loop.advice import Advice
from ownloop.loop.shelf import (
    Entry,
    Prepared,
    Shelf,
    Step,
    finder_of,
    holders_of,
    shelf_of,
    step_name,
    trainable_of,
    variables_within,
    without_objects,
)
from ownloop.step import (
    StepCall,
    Surroundings,
    Watched,
    counted,
    left_behind,
    states_of,
)

_MOST_TOLD: Final = 5
"""So many changes are told by name, and the others counted."""


@final
class Programs:
    """The programs that one loop uses; it counts what it had to compile.

    Args:
        compiled: Whether steps are compiled at all.
        say: Is told, in a sentence, when something is compiled and why.
        epoch: Says which one is under way.
    """

    def __init__(
        self,
        *,
        compiled: bool,
        say: Callable[[str], None],
        epoch: Callable[[], int | None],
    ) -> None:
        self._compiled = compiled
        self._advice = Advice(say, epoch)
        self.compilations: Counter[str] = Counter()

    def look(self, step: Step) -> tuple[Surroundings, str]:
        """Looks at what a step reads from outside, as each pass does once.

        Returns what was found, and what has changed since the last look, in words.
        """
        shelf = shelf_of(step)
        now, before = Surroundings.of(step), shelf.last
        shelf.last = without_objects(now)
        if not self._compiled or before is None:
            return now, ""
        for name in now.other_numbers(before):
            if name not in shelf.own:
                self._advice.count_change(step, name)
        changes = now.changes(before)
        told = [c for c in changes if c.partition(" was ")[0] not in shelf.own]
        if len(told) > _MOST_TOLD:
            told = [*told[:_MOST_TOLD], f"and {len(told) - _MOST_TOLD} more"]
        return now, "; ".join(told)

    def tell_of_changes(self, step: Step, seen: Surroundings) -> None:
        """Says which numbers and flags were changed since a compiled pass began.

        Args:
            step: The step.
            seen: What it read at the begin of the pass.
        """
        changed = Surroundings.of(step).changed_since(seen)
        self._advice.tell_late(step, shelf_of(step), changed)

    def tell_of_running_values(self, step: Step, call: StepCall) -> None:
        """Says which metrics' values a step logs that are not those of the pass."""
        self._advice.tell_running_values(step, call.running)
        self._advice.tell_reset_metrics(step, call.reset)

    def tell_of_idle_metrics(self, step: Step, call: StepCall) -> None:
        """Says which metrics a step logs and nobody has updated since they began."""
        idle = [(name, metric()) for name, metric in call.idle]
        self._advice.tell_idle_metrics(
            step, [(name, m.name) for name, m in idle if m is not None and _is_new(m)]
        )

    def without_own(self, step: Step, seen: Surroundings) -> Surroundings:
        """Leaves out numbers that the step itself changes, and that decide nothing."""
        own = shelf_of(step).own
        numbers = tuple(entry for entry in seen.numbers if entry[0] not in own)
        return dataclasses.replace(seen, numbers=numbers)

    def liked(self, step: Step) -> int:
        """Returns how many batches at once the step's latest program likes to get."""
        entries = shelf_of(step).entries
        return entries[-1].prepared.program.capacity if entries else 1

    def get(
        self,
        step: Step,
        signature: Signature | None,
        surroundings: Surroundings,
        why: str,
    ) -> Prepared:
        """Returns the program for batches of one shape, compiling it if it must."""
        settings = (
            signature,
            self._compiled,
            keras.config.floatx(),
            keras.config.dtype_policy().name,
            keras.config.epsilon(),
        )
        shelf = shelf_of(step)
        with shelf.lock:
            found = shelf.find(settings, surroundings)
            if found is not None:
                return found
            # Such a step will hardly be compiled now: where it is, that is said then.
            waits = shelf.runs_eagerly

            def announce() -> None:
                self._advice.announce(step, signature, shelf, why)

            if self._compiled:
                why = why or shelf.why_none_fits(surroundings)
                if not waits:
                    announce()
                shelf.tidy()
            entry = self._make(step, shelf, settings)
            if waits and entry.prepared.program.kind != EAGER:
                announce()
            shelf.entries.append(entry)
            return entry.prepared

    def _make(self, step: Step, shelf: Shelf, settings: tuple[Any, ...]) -> Entry:
        signature: Signature | None = settings[0]
        call = StepCall(finder_of(step), signature.structure if signature else None)
        leaves = [LeafSpec(*leaf) for leaf in signature.leaves] if signature else []
        if not self._compiled:
            program = backends.current().compile(call, leaves, eager=True)
            return Entry(settings, None, Prepared(call, program, trainable_of(program)))
        # The body of the pass may have changed a number since it began.
        before = Surroundings.of(step)
        drawn = states_of(before.generators)
        program, runs = _compile(step, call, leaves, before)
        after = Surroundings.of(step)
        shelf.learn(before, after)
        left = left_behind(step_name(step), before, after)
        if program.kind != EAGER:
            effects = counted(step_name(step), before, runs, after)
            self._advice.tell_effects(shelf, effects | left)
            if states_of(before.generators) != drawn:
                self._advice.tell_draws(step)
        self._account(step, shelf, program)
        reached = variables_within(after, {id(v) for v in program.variables})
        drawn_from = [v for u in unseeded_state() for v in program.variables if v is u]
        prepared = Prepared(
            call,
            program,
            trainable_of(program),
            reached,
            unseeded=next(iter(drawn_from), None),
            left=tuple(left.values()),
        )
        return Entry(
            settings, without_objects(after), prepared, holders_of(after, reached)
        )

    def _account(self, step: Step, shelf: Shelf, program: AbstractProgram) -> None:
        if program.kind != EAGER:
            self.compilations[step_name(step)] += 1
            if shelf.is_new:
                self._advice.count_made(step)
            shelf.is_new = False
        self._advice.tell_kind(step, shelf, program)


def _is_new(metric: keras.Metric) -> bool:
    """Whether a metric holds nothing but zeros, as one does that is not updated."""
    values = [keras.ops.convert_to_numpy(v.value) for v in metric.variables]
    return bool(values) and not any(np.any(value) for value in values)


def _compile(
    step: Step, call: StepCall, leaves: list[LeafSpec], before: Surroundings
) -> tuple[AbstractProgram, tuple[Surroundings, ...]]:
    """Returns a program, and what the step read after its first runs in Python."""
    find = finder_of(step)
    watched = Watched(call, lambda: Surroundings.of(find()))
    try:
        program = backends.current().compile(watched, leaves)
    except TypeError as error:
        # So frameworks complain of a placeholder whose trace is over.
        left = left_behind(step_name(step), before, Surroundings.of(step))
        with contextlib.suppress(Exception):
            for words in left.values():
                error.add_note(words)
        raise
    return program, watched.close()
