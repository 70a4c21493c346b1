"""Compiled programs: found again for the same step, compiled anew when they must be.

Programs belong to the step they were made from, not to a loop: five loops over one
step compile once. They are kept by weak reference, so that they go when the step goes.
Threads that use one step wait for each other where it is compiled.
"""

import contextlib
import dataclasses
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import EAGER, AbstractProgram, LeafSpec
from ownloop.backends.unseeded import unseeded_state
from ownloop.data import Signature
from ownloop.errors import LoopError
from ownloop.loop.pace import Pace
from ownloop.step import (
    RunningValue,
    StepCall,
    Surroundings,
    Watched,
    code_of,
    counted,
    left_behind,
    states_of,
)

Step = Callable[..., Any]
_Holders = tuple[tuple[weakref.ref[Any], ...], ...]

_MANY = 3
"""After so many compilations for one changing number, its user is told a better way."""


@final
@dataclass(frozen=True)
class Prepared:
    """A program, what it takes for granted, and how fast it has been.

    reached: the identities of those of its variables that the step can be seen to use,
    in the order in which it comes to them.
    unseeded: that of Keras' own generator, if it draws without a seed.
    left: what is said of tensors that compiling it has left in Python.
    """

    call: StepCall
    program: AbstractProgram
    trainable: tuple[bool, ...]
    reached: tuple[int, ...] = ()
    unseeded: keras.Variable | None = None
    left: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)

    def still_fits(self) -> bool:
        """Whether the trainable flags are as they were when it was compiled."""
        return self.trainable == _trainable(self.program)

    def draws_as_keras_does(self) -> bool:
        """Whether what it draws without a seed comes from Keras' present generator.

        `keras.utils.set_random_seed` makes another one.
        """
        return self.unseeded is None or any(
            variable is self.unseeded for variable in unseeded_state()
        )

    def is_within_reach(self, now: Surroundings) -> bool:
        """Whether the step still uses the variables that the program changes.

        Those by identity that it reached when it was compiled, in the same order:
        another model under the same names needs another program, and so do two models
        that have changed places.
        """
        return self.reached == _within_reach(now, set(self.reached))


@final
@dataclass(frozen=True)
class _Entry:
    """A program on a shelf, and what it was made for.

    settings: the batch's signature, and Keras' defaults. seen: what the step
    read; None where nothing is frozen into the program. holders: by reached variable
    the layers, optimizers and metrics that have it; none where the step has it itself.
    """

    settings: tuple[Any, ...]
    seen: Surroundings | None
    prepared: Prepared
    holders: _Holders = ()

    def can_come_back(self) -> bool:
        """Whether what the program was made for still exists."""
        return all(
            any(holder() is not None for holder in holders)
            for holders in self.holders
            if holders
        )


@final
class _Shelf:
    """The programs that were made from one step.

    own: names of the numbers that the step itself changes while Python runs it, such
    as a count of its calls; they decide nothing, or each compilation would be outdated
    by itself. last: what the latest look found. said: reasons that were told, and names
    of what the step has changed in Python. late: names of numbers of which it was said
    that a pass takes them up too late. is_new: whether nothing was compiled from the
    step yet.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.entries: list[_Entry] = []
        self.own: set[str] = set()
        self.last: Surroundings | None = None
        self.said: set[str] = set()
        self.late: set[str] = set()
        self.is_new = True

    def find(self, settings: tuple[Any, ...], now: Surroundings) -> Prepared | None:
        """Returns a program that fits, the latest first."""
        for entry in reversed(self.entries):
            alike = entry.seen is None or self._key(entry.seen) == self._key(now)
            prepared = entry.prepared
            if entry.settings != settings or not alike or not prepared.still_fits():
                continue
            if not prepared.draws_as_keras_does():
                continue
            if prepared.is_within_reach(now):
                return prepared
        return None

    def tidy(self) -> None:
        """Lets go of programs, and so of the variables, of models that have gone."""
        self.entries = [entry for entry in self.entries if entry.can_come_back()]

    def learn(self, before: Surroundings, after: Surroundings) -> None:
        """Notes which numbers have changed while the step was compiled."""
        earlier, later = _numbers(before), _numbers(after)
        for name in earlier.keys() | later.keys():
            # What is new on an object was built; what is new in a list was put there.
            grown = name not in earlier and not name.endswith("]")
            if earlier.get(name) != later.get(name) and not grown:
                self.own.add(name)

    def _key(self, seen: Surroundings) -> tuple[Any, ...]:
        numbers, *rest = seen.key
        return tuple(entry for entry in numbers if entry[0] not in self.own), *rest


_shelves: weakref.WeakKeyDictionary[Any, dict[Any, _Shelf]] = (
    weakref.WeakKeyDictionary()
)


@final
class Programs:
    """The programs that one loop uses; it counts what it had to compile.

    `say` is told, in a sentence, when something is compiled and why it could not be;
    `epoch` says which one is under way.
    """

    def __init__(
        self,
        *,
        compiled: bool,
        say: Callable[[str], None],
        epoch: Callable[[], int | None],
    ) -> None:
        self._compiled = compiled
        self._say = say
        self._epoch = epoch
        self._made: dict[Hashable, set[int]] = {}
        self._changes: Counter[tuple[str, str]] = Counter()
        self._averaged: set[tuple[str, str]] = set()
        self.compilations: Counter[str] = Counter()

    def look(self, step: Step) -> tuple[Surroundings, str]:
        """Looks at what a step reads from outside, as each pass does once.

        Returns what was found, and what has changed since the last look, in words.
        """
        shelf = _shelf_of(step)
        now, before = Surroundings.of(step), shelf.last
        shelf.last = _without_objects(now)
        if not self._compiled or before is None:
            return now, ""
        for name in now.other_numbers(before):
            if name not in shelf.own:
                self._count_change(step_name(step), name)
        changes = now.changes(before)
        told = [c for c in changes if c.partition(" was ")[0] not in shelf.own]
        return now, "; ".join(told)

    def tell_of_changes(self, step: Step, seen: Surroundings) -> None:
        """Says which numbers and flags were changed since a compiled pass began.

        Args:
            step: The step.
            seen: What it read at the begin of the pass.
        """
        shelf = _shelf_of(step)
        for name, words in Surroundings.of(step).changed_since(seen):
            if name not in shelf.own | shelf.late:
                shelf.late.add(name)
                self._say(
                    f"{words} since this pass began: {step_name(step)} is compiled, "
                    "and takes that up when its next pass begins; as a keras.Variable, "
                    "changed with assign, it would count at once"
                )

    def tell_of_running_values(self, step: Step, call: StepCall) -> None:
        """Says which metrics' values a step logs, whose average is not theirs."""
        for value in call.running:
            key = step_name(step), value.name
            if key not in self._averaged:
                self._averaged.add(key)
                self._say(_advice(*key, value))

    def without_own(self, step: Step, seen: Surroundings) -> Surroundings:
        """Leaves out numbers that the step itself changes, and that decide nothing."""
        own = _shelf_of(step).own
        numbers = tuple(entry for entry in seen.numbers if entry[0] not in own)
        return dataclasses.replace(seen, numbers=numbers)

    def liked(self, step: Step) -> int:
        """Returns how many batches at once the step's latest program likes to get."""
        entries = _shelf_of(step).entries
        return entries[-1].prepared.program.capacity if entries else 1

    def _count_change(self, step: str, name: str) -> None:
        self._changes[step, name] += 1
        if self._changes[step, name] == _MANY:
            self._say(
                f"{name} has changed {_MANY} times, and {step} is compiled for each "
                "value; as a keras.Variable, changed with assign, it would be "
                "compiled once"
            )

    def get(
        self,
        step: Step,
        signature: Signature | None,
        surroundings: Surroundings,
        why: str,
    ) -> Prepared:
        """Returns the program for batches of one shape, compiling it if it must."""
        shelf = _shelf_of(step)
        with shelf.lock:
            return self._get(shelf, step, signature, surroundings, why)

    def _get(
        self,
        shelf: _Shelf,
        step: Step,
        signature: Signature | None,
        surroundings: Surroundings,
        why: str,
    ) -> Prepared:
        settings = (
            signature,
            self._compiled,
            keras.config.floatx(),
            keras.config.dtype_policy().name,
            keras.config.epsilon(),
        )
        found = shelf.find(settings, surroundings)
        if found is not None:
            return found
        if self._compiled:
            if any(not e.prepared.is_within_reach(surroundings) for e in shelf.entries):
                why = why or "it uses another model, optimizer or metric than before"
            elif any(not e.prepared.draws_as_keras_does() for e in shelf.entries):
                why = why or "Keras has another generator for draws without a seed"
            self._say(_announcement(step_name(step), signature, shelf, why))
            shelf.tidy()
        call = StepCall(_finder(step), signature.structure if signature else None)
        leaves = [LeafSpec(*leaf) for leaf in signature.leaves] if signature else []
        # The body of the pass may have changed a number since it began.
        before = Surroundings.of(step)
        drawn = states_of(before.generators)
        seen: Surroundings | None = None
        reached: tuple[int, ...] = ()
        holders: _Holders = ()
        left: dict[str, str] = {}
        if not self._compiled:
            program = backends.current().compile(call, leaves, eager=True)
        else:
            program, runs = _compile(step, call, leaves, before)
            after = Surroundings.of(step)
            shelf.learn(before, after)
            name = step_name(step)
            left = left_behind(name, before, after)
            if program.kind != EAGER:
                self._tell(shelf, counted(name, before, runs, after) | left)
            if program.kind != EAGER and states_of(before.generators) != drawn:
                self._say(
                    f"{step_name(step)} has drawn random numbers with NumPy or Python "
                    "while it was compiled: every step uses the same ones, unless a "
                    "layer was built with them. Draw with keras.random, or hand them "
                    "in as data"
                )
            seen = _without_objects(after)
            self._account(step, shelf, program)
            reached = _within_reach(after, {id(v) for v in program.variables})
            holders = _holders_of(after, reached)
        variables = program.variables if self._compiled else ()
        drawn_from = [v for u in unseeded_state() for v in variables if v is u]
        prepared = Prepared(
            call,
            program,
            _trainable(program),
            reached,
            unseeded=next(iter(drawn_from), None),
            left=tuple(left.values()),
        )
        shelf.entries.append(_Entry(settings, seen, prepared, holders))
        return prepared

    def _count_made(self, step: Step) -> None:
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

    def _tell(self, shelf: _Shelf, words: dict[str, str]) -> None:
        """Says what a step has changed in Python, each name once."""
        for name in [name for name in words if name not in shelf.said]:
            shelf.said.add(name)
            self._say(words[name])

    def _account(self, step: Step, shelf: _Shelf, program: AbstractProgram) -> None:
        name = step_name(step)
        if program.kind != EAGER:
            self.compilations[name] += 1
            if shelf.is_new:
                self._count_made(step)
            shelf.is_new = False
        if program.reason and program.reason not in shelf.said:
            shelf.said.add(program.reason)
            self._say(f"{name} runs as {program.kind}: {program.reason}")


def _compile(
    step: Step, call: StepCall, leaves: list[LeafSpec], before: Surroundings
) -> tuple[AbstractProgram, tuple[Surroundings, ...]]:
    """Returns a program, and what the step read after its first runs in Python."""
    find = _finder(step)
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


def _announcement(
    name: str, signature: Signature | None, shelf: _Shelf, why: str
) -> str:
    compiled = [entry for entry in shelf.entries if entry.seen is not None]
    if not compiled:
        return f"compiling {name}"
    if not why and any(entry.settings[0] == signature for entry in compiled):
        why = "a `trainable` flag, or one of Keras' defaults, has changed"
    is_first = signature == compiled[0].settings[0]
    shapes = "" if is_first else f" for batches of {signature}"
    return (
        f"compiling {name}{' again' if why else ''}{shapes}{': ' + why if why else ''}"
    )


def _advice(step: str, name: str, value: RunningValue) -> str:
    told = (
        f"{step} logs {name!r}, which is the result() of the metric {value.metric}: a "
        "running value, whose average over the pass is wrong"
    )
    if value.is_part:
        return f"{told}; return the metrics that it consists of, each by a name"
    return f'{told}; return the metric itself, as in {{"{name}": metric}}'


def _shelf_of(step: Step) -> _Shelf:
    owner, function = _identity(step)
    return _shelves.setdefault(owner, {}).setdefault(function, _Shelf())


def _within_reach(seen: Surroundings, own: set[int]) -> tuple[int, ...]:
    """Returns which of some variables are within reach, by identity and in order."""
    within = [id(variable) for variable in seen.variables()]
    return tuple([variable for variable in within if variable in own])


def _holders_of(seen: Surroundings, reached: tuple[int, ...]) -> _Holders:
    """Returns, for each variable that is reached, who has it; weakly."""
    held: dict[int, list[weakref.ref[Any]]] = {variable: [] for variable in reached}
    own = {id(owner) for owner in seen.owners if isinstance(owner, keras.Variable)}
    for owner in seen.owners:
        if not isinstance(owner, keras.Variable):
            for variable in owner.variables:
                if id(variable) in held and id(variable) not in own:
                    held[id(variable)].append(weakref.ref(owner))
    return tuple(map(tuple, held.values()))


def _numbers(seen: Surroundings) -> dict[str, list[Any]]:
    numbers: dict[str, list[Any]] = {}
    for name, *value in seen.key[0]:
        numbers.setdefault(name, []).append(value)
    return numbers


def _without_objects(seen: Surroundings) -> Surroundings:
    # A shelf lives as long as its step, which those objects may hold on to.
    return dataclasses.replace(
        seen, metrics=(), owners=(), generators=(), placeholders=()
    )


def step_name(step: Step) -> str:
    """Returns the name by which people know a step."""
    return getattr(step, "__name__", None) or type(step).__name__


def _trainable(program: AbstractProgram) -> tuple[bool, ...]:
    return tuple(bool(variable.trainable) for variable in program.variables)


def _identity(step: Step) -> tuple[Any, Any]:
    """Returns whose life a step's programs share, and which of its functions it is.

    A bound method is a new object at each access; it lives as long as its owner.
    """
    owner, function = step, None
    if hasattr(step, "__self__") and hasattr(step, "__func__"):
        owner, function = step.__self__, step.__func__
    try:
        hash(owner)
        weakref.ref(owner)
    except TypeError as error:
        raise LoopError(
            f"The step {step!r} belongs to a {type(owner).__name__}, whose identity "
            f"cannot be remembered ({error}). A step is a plain function, or a method "
            "of an object that can be hashed and weakly referenced. Write the step "
            "as a plain function."
        ) from error
    return owner, function


def _finder(step: Step) -> Callable[[], Step]:
    """Returns a function that finds the step without keeping it alive."""
    if hasattr(step, "__self__") and hasattr(step, "__func__"):
        return weakref.WeakMethod(step)  # type: ignore[return-value]
    return weakref.ref(step)  # type: ignore[return-value]
