"""The programs that were made from one step: found again while they fit.

Programs belong to the step that they were made from, not to a loop: five loops over one
step compile once. They are kept by weak reference, so that they go when the step goes.
"""

import dataclasses
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import keras

from ownloop.backends.contract import EAGER, AbstractProgram
from ownloop.backends.unseeded import unseeded_state
from ownloop.errors import LoopError
from ownloop.loop.pace import Pace
from ownloop.shown import shown
from ownloop.step import StepCall, Surroundings

Step = Callable[..., Any]
Holders = tuple[tuple[weakref.ref[Any], ...], ...]


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
        return self.trainable == trainable_of(self.program)

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
        return self.reached == variables_within(now, set(self.reached))


@final
@dataclass(frozen=True)
class Entry:
    """A program on a shelf, and what it was made for.

    settings: the batch's signature, and Keras' defaults. seen: what the step
    read; None where nothing is frozen into the program. holders: by reached variable
    the layers, optimizers and metrics that have it; none where the step has it itself.
    """

    settings: tuple[Any, ...]
    seen: Surroundings | None
    prepared: Prepared
    holders: Holders = ()

    def can_come_back(self) -> bool:
        """Whether what the program was made for still exists."""
        return all(
            any(holder() is not None for holder in holders)
            for holders in self.holders
            if holders
        )


@final
class Shelf:
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
        self.entries: list[Entry] = []
        self.own: set[str] = set()
        self.last: Surroundings | None = None
        self.said: set[str] = set()
        self.late: set[str] = set()
        self.is_new = True

    @property
    def runs_eagerly(self) -> bool:
        """Whether the latest program, which was to be compiled, could not be."""
        tried = [e.prepared.program for e in self.entries if e.seen is not None]
        return bool(tried) and tried[-1].kind == EAGER

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

    def why_none_fits(self, now: Surroundings) -> str:
        """Says what of the objects in a step's reach is other; empty if nothing is."""
        if any(not e.prepared.is_within_reach(now) for e in self.entries):
            return "it uses another model, optimizer or metric than before"
        if any(not e.prepared.draws_as_keras_does() for e in self.entries):
            return "Keras has another generator for draws without a seed"
        return ""

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


_shelves: weakref.WeakKeyDictionary[Any, dict[Any, Shelf]] = weakref.WeakKeyDictionary()


def shelf_of(step: Step) -> Shelf:
    """Returns the shelf of a step, which is the same as long as the step lives."""
    owner, function = _identity(step)
    return _shelves.setdefault(owner, {}).setdefault(function, Shelf())


def step_name(step: Step) -> str:
    """Returns the name by which people know a step."""
    return getattr(step, "__name__", None) or type(step).__name__


def without_objects(seen: Surroundings) -> Surroundings:
    """Leaves out what a step has reached.

    A shelf lives as long as its step, which those objects may hold on to.
    """
    return dataclasses.replace(
        seen, metrics=(), owners=(), generators=(), placeholders=()
    )


def variables_within(seen: Surroundings, own: set[int]) -> tuple[int, ...]:
    """Returns which of some variables are within reach, by identity and in order."""
    within = [id(variable) for variable in seen.variables()]
    return tuple([variable for variable in within if variable in own])


def holders_of(seen: Surroundings, reached: tuple[int, ...]) -> Holders:
    """Returns, for each variable that is reached, who has it; weakly."""
    held: dict[int, list[weakref.ref[Any]]] = {variable: [] for variable in reached}
    own = {id(owner) for owner in seen.owners if isinstance(owner, keras.Variable)}
    for owner in seen.owners:
        if not isinstance(owner, keras.Variable):
            for variable in owner.variables:
                if id(variable) in held and id(variable) not in own:
                    held[id(variable)].append(weakref.ref(owner))
    return tuple(map(tuple, held.values()))


def trainable_of(program: AbstractProgram) -> tuple[bool, ...]:
    """Returns the flags that are frozen into a program."""
    return tuple(bool(variable.trainable) for variable in program.variables)


def finder_of(step: Step) -> Callable[[], Step]:
    """Returns a function that finds the step without keeping it alive."""
    if hasattr(step, "__self__") and hasattr(step, "__func__"):
        return weakref.WeakMethod(step)  # type: ignore[return-value]
    return weakref.ref(step)  # type: ignore[return-value]


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
            f"The step {shown(step)} belongs to a {type(owner).__name__}, whose "
            f"identity cannot be remembered ({error}). A step is a plain function, "
            "or a method of an object that can be hashed and weakly referenced. Write "
            "the step as a plain function."
        ) from error
    return owner, function


def _numbers(seen: Surroundings) -> dict[str, list[Any]]:
    numbers: dict[str, list[Any]] = {}
    for name, *value in seen.key[0]:
        numbers.setdefault(name, []).append(value)
    return numbers
