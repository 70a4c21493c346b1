"""What a step reads from outside itself: numbers, flags, metrics and variables.

A compiled step has the Python numbers that it read, and the functions that it called,
frozen into it. They are looked up here before each pass, so that a change compiles the
step again instead of being ignored. The same walk finds the metrics, which each pass
starts from zero.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, final

import keras

from ownloop import backends
from ownloop.step.functions import functions_of
from ownloop.step.walk import Walk


@final
@dataclass(frozen=True)
class Surroundings:
    """What a step reads from outside: equal surroundings compile to the same program.

    Attributes:
        numbers: Names and values of the Python numbers and strings that were found in
            closures, globals, defaults and the attributes that the step reads.
        flags: Names and values of the `trainable` flags of layers and variables.
        functions: Names and code of the step and of the functions that it calls.
        held: The same of all functions that were found, such as an activation that a
            layer was given.
        methods: The same of methods of the user's own layers and other classes.
        metrics: The Keras metrics within reach.
        generators: Random generators within reach that are none of Keras'.
        owners: Keras variables, and what has `variables`: layers, optimizers, metrics.
        placeholders: Names and tensors that a trace has left where the step reads.
        others: Names of objects within reach whose class is an installed library's.
    """

    numbers: tuple[tuple[str, Any], ...]
    flags: tuple[tuple[str, bool], ...]
    functions: tuple[tuple[str, CodeType], ...]
    held: tuple[tuple[str, CodeType], ...]
    methods: tuple[tuple[str, CodeType], ...]
    metrics: tuple[keras.Metric, ...]
    owners: tuple[Any, ...] = field(repr=False)
    generators: tuple[Any, ...] = field(repr=False)
    placeholders: tuple[tuple[str, Any], ...] = field(repr=False)
    others: frozenset[str] = field(repr=False)

    @classmethod
    def of(cls, step: Callable[..., Any]) -> "Surroundings":
        """Looks at a step and at the functions that it calls by name.

        Example:
            >>> rate = 0.5
            >>> Surroundings.of(lambda x: rate * x).numbers
            (('rate', 0.5),)
        """
        walk = Walk()
        walk.start(step)
        is_placeholder = backends.current().is_placeholder
        return cls(
            tuple(walk.numbers),
            tuple(walk.flags),
            functions_of(step),
            tuple((n, f.__code__) for n, f in walk.held if f not in walk.methods),
            tuple((_short_name(m), m.__code__) for m in walk.methods),
            tuple(walk.metrics),
            tuple(walk.owners),
            tuple(walk.generators),
            tuple((name, t) for name, t in walk.tensors if is_placeholder(t)),
            frozenset(walk.others),
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for surroundings that compile to the same program."""
        # The type too: 1, 1.0 and True are equal, and are not the same program.
        numbers = tuple((n, type(v), _comparable(v)) for n, v in self.numbers)
        return numbers, self.flags, self.functions, self.held, self.methods

    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables within reach, those that were created since included."""
        found: dict[int, keras.Variable] = {}
        for owner in self.owners:
            own = (owner,) if isinstance(owner, keras.Variable) else owner.variables
            found.update((id(variable), variable) for variable in own)
        return tuple(found.values())

    def changes(self, before: "Surroundings") -> tuple[str, ...]:
        """Says in words what is different from an earlier look.

        Example:
            >>> rate = 0.5
            >>> step = lambda x: rate * x
            >>> before = Surroundings.of(step)
            >>> rate = 0.25
            >>> Surroundings.of(step).changes(before)
            ('rate was 0.5 and is 0.25',)
        """
        values = (
            f"{name} was {_words(earlier)} and is {_words(now)}"
            for mine, theirs in (
                (self.numbers, before.numbers),
                (self.flags, before.flags),
            )
            for name, now, earlier in _differences(mine, theirs)
        )
        functions = (
            f"{name}() was another function"
            for mine, theirs in (
                (self.functions, before.functions),
                (self.held, before.held),
                (self.methods, before.methods),
            )
            for name, _, _ in _differences(mine, theirs)
        )
        # A function may be found by its name and by where it is held.
        return (*values, *dict.fromkeys(functions))

    def changed_since(self, before: "Surroundings") -> tuple[tuple[str, str], ...]:
        """Names the numbers and flags that were there and are others now, in words.

        Example:
            >>> rate = 0.5
            >>> step = lambda x: rate * x
            >>> before = Surroundings.of(step)
            >>> rate = 0.25
            >>> Surroundings.of(step).changed_since(before)
            (('rate', 'rate was 0.5 and is 0.25'),)
        """
        return tuple(
            (name, f"{name} was {_words(earlier)} and is {_words(now)}")
            for mine, theirs in (
                (self.numbers, before.numbers),
                (self.flags, before.flags),
            )
            for name, now, earlier in _differences(mine, theirs)
            if _ABSENT not in (now, earlier)
        )

    def other_numbers(self, before: "Surroundings") -> tuple[str, ...]:
        """Names the numbers that were there in an earlier look, and are others now.

        Not those of another object, which is there instead.
        """
        differences = _differences(self.numbers, before.numbers)
        return tuple(n for n, *values in differences if _ABSENT not in values)

    def is_of_others(self, name: str) -> bool:
        """Whether something is within an object of an installed library."""
        places = (i for i, letter in enumerate(name) if letter in ".[")
        return any(name[:i] in self.others for i in places)


_ABSENT = object()


def _short_name(method: FunctionType) -> str:
    """Returns a method's name, with its class but without where that was made."""
    return method.__qualname__.rpartition("<locals>.")[2]


def _differences(
    now: tuple[tuple[str, Any], ...], before: tuple[tuple[str, Any], ...]
) -> Iterator[tuple[str, Any, Any]]:
    mine, theirs = dict(now), dict(before)
    for name in mine | theirs:
        value, was = mine.get(name, _ABSENT), theirs.get(name, _ABSENT)
        if type(was) is not type(value) or _comparable(was) != _comparable(value):
            yield name, value, was


def _words(value: Any) -> str:
    return "not there" if value is _ABSENT else repr(value)


def _comparable(value: Any) -> Any:
    # NaN is unequal to itself, and would look like a change at every pass.
    return "nan" if value != value else value
