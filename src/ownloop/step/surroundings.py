"""What a step reads from outside itself: numbers, flags and metrics.

A compiled step has the Python numbers that it read frozen into it. They are looked up
here before each pass, so that a change compiles the step again instead of being
ignored. The same walk finds the metrics, which each pass starts from zero.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

import keras
import numpy as np

_NUMBERS = (bool, int, float, complex, str, bytes, type(None), np.generic)
_SMALL = 64
"""Containers and arrays with more entries than this are data, not settings."""
_FOREIGN = (
    "builtins",
    "jax",
    "jaxlib",
    "keras",
    "numpy",
    "ownloop",
    "tensorflow",
    "torch",
)


@final
@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What a step reads from outside: equal surroundings compile to the same program.

    Attributes:
        numbers: Names and values of the Python numbers (and strings) that were found
            in closures, globals, defaults and small settings objects.
        flags: Names and values of the `trainable` flags of layers and variables.
        metrics: The Keras metrics within reach.
    """

    numbers: tuple[tuple[str, Any], ...]
    flags: tuple[tuple[str, bool], ...]
    metrics: tuple[keras.Metric, ...]

    @classmethod
    def of(cls, step: Callable[..., Any]) -> "Surroundings":
        """Looks at a step and at the functions that it calls by name.

        Example:
            >>> rate = 0.5
            >>> Surroundings.of(lambda x: rate * x).numbers
            (('rate', 0.5),)
        """
        walk = _Walk()
        walk.callable("", step)
        return cls(tuple(walk.numbers), tuple(walk.flags), tuple(walk.metrics))

    def changes(self, before: "Surroundings") -> tuple[str, ...]:
        """Says in words what is different from an earlier look."""
        return tuple(
            f"{name} was {earlier!r} and is {now!r}"
            for mine, theirs in (
                (self.numbers, before.numbers),
                (self.flags, before.flags),
            )
            for name, now, earlier in _differences(mine, theirs)
        )


def _differences(
    now: tuple[tuple[str, Any], ...], before: tuple[tuple[str, Any], ...]
) -> Iterator[tuple[str, Any, Any]]:
    earlier = dict(before)
    for name, value in now:
        if name in earlier and not _same(earlier[name], value):
            yield name, value, earlier[name]


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and (one == other or (one != one and other != other))


class _Walk:
    """Collects, in a fixed order, what can be reached from a step."""

    def __init__(self) -> None:
        self.numbers: list[tuple[str, Any]] = []
        self.flags: list[tuple[str, bool]] = []
        self.metrics: list[keras.Metric] = []
        self._seen: dict[int, Any] = {}

    def callable(self, name: str, function: Any) -> None:
        """Walks into a function, a method, a partial or an object that is called."""
        if self._again(function):
            return
        if isinstance(function, types.MethodType):
            self.value(_join(name, "self"), function.__self__)
            self.callable(name, function.__func__)
        elif isinstance(function, functools.partial):
            self.value(_join(name, "args"), function.args)
            self.value(_join(name, "keywords"), function.keywords)
            self.callable(name, function.func)
        elif isinstance(function, types.FunctionType):
            for inner, value in _reads(function):
                self.value(_join(name, inner), value)
        elif hasattr(function, "__wrapped__"):
            self.callable(name, function.__wrapped__)
        elif not _is_foreign(type(function)):
            self.value(name, function)
            self.callable(name, getattr(type(function), "__call__"))  # noqa: B004

    def value(self, name: str, value: Any) -> None:
        """Notes a value, or walks into it where it may hold settings."""
        if isinstance(value, _NUMBERS):
            self.numbers.append((name, value))
            return
        if self._again(value):
            return
        if isinstance(value, keras.Metric):
            self.metrics.append(value)
        elif isinstance(value, keras.Variable):
            self.flags.append((f"{value.path}.trainable", bool(value.trainable)))
        elif isinstance(value, keras.Layer):
            self._layer(value)
        elif isinstance(value, np.ndarray):
            if value.size <= _SMALL:
                self.numbers.append((name, value.tolist().__repr__()))
        elif isinstance(value, tuple | list):
            for i, entry in enumerate(value[:_SMALL]):
                self.value(f"{name}[{i}]", entry)
        elif isinstance(value, Mapping):
            for key in list(value)[:_SMALL]:
                self.value(f"{name}[{key!r}]", value[key])
        elif isinstance(value, types.FunctionType | types.MethodType):
            if not _is_foreign(value):
                self.callable(name, value)
        elif isinstance(value, functools.partial):
            self.callable(name, value)
        elif not isinstance(value, type | types.ModuleType) and not _is_foreign(
            type(value)
        ):
            self._settings(name, value)

    def _layer(self, layer: keras.Layer) -> None:
        self.flags.append((f"{layer.name}.trainable", bool(layer.trainable)))
        for variable in layer.variables:
            self.value("", variable)
        for inner in getattr(layer, "layers", ()):
            self.value("", inner)
        self.metrics.extend(m for m in layer.metrics if not self._again(m))

    def _settings(self, name: str, holder: Any) -> None:
        for attribute, value in list(getattr(holder, "__dict__", {}).items())[:_SMALL]:
            self.value(_join(name, attribute), value)

    def _again(self, value: Any) -> bool:
        known = id(value) in self._seen
        self._seen[id(value)] = value
        return known


def _reads(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yields what a function reads from outside: closure, globals, defaults."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # Not assigned yet.
            continue
    for name in _global_names(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for i, value in enumerate(function.__defaults__ or ()):
        yield f"default {i}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield name, value


def _global_names(code: types.CodeType) -> tuple[str, ...]:
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(_global_names(constant)))
    return tuple(names)


def _is_foreign(thing: Any) -> bool:
    module = getattr(thing, "__module__", None) or "builtins"
    return module.partition(".")[0] in _FOREIGN


def _join(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if outer else inner
