"""What a step reads from outside itself: numbers, flags, metrics and variables.

A compiled step has the Python numbers that it read, and the functions that it called,
frozen into it. They are looked up here before each pass, so that a change compiles the
step again instead of being ignored. The same walk finds the metrics, which each pass
starts from zero.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
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
        objects: Keras objects, each by the step's word for what it belongs to, its own
            name and its class; what has a word of the step's comes before its parts.
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
    objects: tuple[tuple[str, str, str], ...] = field(repr=False)

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
            tuple(walk.objects),
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
        """Says in words what is different from an earlier look, the user's own first.

        Of an object that is another now only that is said, and nothing of its inside.

        Example:
            >>> rate = 0.5
            >>> step = lambda x: rate * x
            >>> before = Surroundings.of(step)
            >>> rate = 0.25
            >>> Surroundings.of(step).changes(before)
            ('rate was 0.5 and is 0.25',)
        """
        numbers = list(_differences(self.numbers, before.numbers))
        flags = list(_differences(self.flags, before.flags))
        mine, theirs = (
            (s.objects, s.functions, s.held, s.methods) for s in (self, before)
        )
        if not numbers and not flags and mine == theirs:  # As for nearly every pass.
            return ()
        come_or_gone = [e for e in (*numbers, *flags) if _ABSENT in e]
        objects, exchanged = _exchanged(self.objects, before.objects, come_or_gone)
        functions = (
            f"{name}() was another function"
            for mine, theirs in (
                (self.functions, before.functions),
                (self.held, before.held),
                (self.methods, before.methods),
            )
            for name, *codes in _differences(mine, theirs)
            if not (exchanged and _ABSENT in codes)
        )
        return (
            *(_in_words(*e) for e in numbers if _ABSENT not in e),
            *objects,
            # A function may be found by its name and by where it is held.
            *dict.fromkeys(functions),
            *(_in_words(*e) for e in flags if _ABSENT not in e),
            *(_in_words(*e) for e in come_or_gone if not _is_within(e[0], exchanged)),
        )

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
            (entry[0], _in_words(*entry))
            for mine, theirs in (
                (self.numbers, before.numbers),
                (self.flags, before.flags),
            )
            for entry in _differences(mine, theirs)
            if _ABSENT not in entry
        )

    def other_numbers(self, before: "Surroundings") -> tuple[str, ...]:
        """Names the numbers that were there in an earlier look, and are others now.

        Not those of another object, which is there instead.
        """
        differences = _differences(self.numbers, before.numbers)
        return tuple(n for n, *values in differences if _ABSENT not in values)

    def is_of_others(self, name: str) -> bool:
        """Whether something is within an object of an installed library."""
        return _is_within(name, self.others)


_Objects = tuple[tuple[str, str, str], ...]
_ABSENT = object()
_NOT_THERE = "not there"


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


def _exchanged(
    now: _Objects, before: _Objects, come_or_gone: Iterable[tuple[str, Any, Any]]
) -> tuple[list[str], set[str]]:
    """Says which Keras objects are others than before, and names all within these.

    An object is known by the step's own word for it, such as `model`, and a part of
    one that is still the same by the name that Keras gave it. Of parts only those are
    said that bring or take something that a step reads.
    """
    tops, earlier = _by_key(now, ()), _by_key(before, ())
    same = {word for word, top in tops.items() if earlier.get(word) == top}
    mine, theirs = _by_key(now, same), _by_key(before, same)
    others = [key for key in mine | theirs if mine.get(key) != theirs.get(key)]
    read = {name for name, *_ in come_or_gone}
    words = []
    for key in others:
        if key not in tops | earlier and not any(_is_within(n, {key}) for n in read):
            continue
        kind, was = (found.get(key, ("", _NOT_THERE))[1] for found in (mine, theirs))
        is_like = f"{key} is another {kind}"
        words.append(is_like if kind == was else f"{key} was {was} and is {kind}")
    inside = {name for word, name, _ in (*now, *before) if word not in same}
    return words, inside.union(others)


def _by_key(objects: _Objects, opened: Collection[str]) -> dict[str, tuple[str, str]]:
    """Returns names and classes by the step's words; within those opened, by name."""
    found: dict[str, tuple[str, str]] = {}
    for word, name, kind in objects:
        found.setdefault(name if word in opened else word, (name, kind))
    return found


def _in_words(name: str, now: Any, earlier: Any) -> str:
    return f"{name} was {_words(earlier)} and is {_words(now)}"


def _is_within(name: str, owners: Collection[str]) -> bool:
    """Whether a name is that of something within one of these."""
    places = (i for i, letter in enumerate(name) if letter in ".[")
    return any(name[:i] in owners for i in places)


def _words(value: Any) -> str:
    return _NOT_THERE if value is _ABSENT else repr(value)


def _comparable(value: Any) -> Any:
    # NaN is unequal to itself, and would look like a change at every pass.
    return "nan" if value != value else value
