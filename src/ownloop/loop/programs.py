"""Compiled programs: found again for the same step, compiled anew when they must be.

Programs belong to the step they were made from, not to a loop: five loops over one
step compile once. They are kept by weak reference, so that they go when the step goes.
"""

import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop import backends
from ownloop.backends.contract import EAGER, AbstractProgram, LeafSpec
from ownloop.data import Signature
from ownloop.errors import LoopError
from ownloop.step import StepCall, Surroundings

Step = Callable[..., Any]

_MANY = 3
"""After so many compilations for one changing number, its user is told a better way."""


@final
@dataclass(frozen=True)
class Prepared:
    """A program, and what it takes for granted."""

    call: StepCall
    program: AbstractProgram
    trainable: tuple[bool, ...]

    def still_fits(self) -> bool:
        """Whether the trainable flags are as they were when it was compiled."""
        return self.trainable == _trainable(self.program)


_Key = tuple[Any, ...]
_Shelf = dict[_Key, list[Prepared]]

_shelves: weakref.WeakKeyDictionary[Any, dict[Any, _Shelf]] = (
    weakref.WeakKeyDictionary()
)


@final
class Programs:
    """The programs that one loop uses; it counts what it had to compile.

    `say` is told, in a sentence, when something is compiled and why it could not be.
    """

    def __init__(self, *, compiled: bool, say: Callable[[str], None]) -> None:
        self._compiled = compiled
        self._say = say
        self._said: set[tuple[int, str]] = set()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._seen: weakref.WeakKeyDictionary[Any, dict[Any, Surroundings]] = (
            weakref.WeakKeyDictionary()
        )
        self.compilations: Counter[str] = Counter()

    def look(self, step: Step) -> tuple[Surroundings, str]:
        """Looks at what a step reads from outside, as each pass does once.

        Returns what was found, and what has changed since the last look, in words.
        """
        owner, function = _identity(step)
        now = Surroundings.of(step)
        seen = self._seen.setdefault(owner, {})
        before = seen.get(function)
        seen[function] = now
        changes = now.changes(before) if before else ()
        for change in changes:
            name = change.partition(" was ")[0]
            self._changes[step_name(step), name] += 1
            if self._changes[step_name(step), name] == _MANY:
                self._say(
                    f"{name} has changed {_MANY} times, and {step_name(step)} is "
                    "compiled for each value; as a keras.Variable, changed with "
                    "assign, it would be compiled once"
                )
        return now, "; ".join(changes)

    def get(
        self,
        step: Step,
        signature: Signature | None,
        surroundings: Surroundings,
        why: str,
    ) -> Prepared:
        """Returns the program for batches of one shape, compiling it if it must."""
        owner, function = _identity(step)
        shelf = _shelves.setdefault(owner, {}).setdefault(function, {})
        key = (
            signature,
            surroundings.key,
            self._compiled,
            keras.config.floatx(),
            keras.config.dtype_policy().name,
        )
        for prepared in shelf.get(key, ()):
            if prepared.still_fits():
                return prepared
        if any(shelf.get(key, ())) and not why:
            why = "a `trainable` flag has changed"
        prepared = self._prepare(step, signature, shelf, why)
        shelf.setdefault(key, []).append(prepared)
        return prepared

    def _prepare(
        self, step: Step, signature: Signature | None, shelf: _Shelf, why: str
    ) -> Prepared:
        name = step_name(step)
        if self._compiled:
            again = f" again: {why}" if why and shelf else ""
            shapes = f" for batches of {signature}" if shelf and not again else ""
            self._say(f"compiling {name}{again or shapes}")
        call = StepCall(_finder(step), signature.structure if signature else None)
        leaves = [LeafSpec(*leaf) for leaf in signature.leaves] if signature else []
        program = backends.current().compile(call, leaves, eager=not self._compiled)
        prepared = Prepared(call, program, _trainable(program))
        if self._compiled:
            self._account(step, program)
        return prepared

    def _account(self, step: Step, program: AbstractProgram) -> None:
        name = step_name(step)
        if program.kind != EAGER:
            self.compilations[name] += 1
        if program.reason and (id(step), program.reason) not in self._said:
            self._said.add((id(step), program.reason))
            self._say(f"{name} runs as {program.kind}: {program.reason}")


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
