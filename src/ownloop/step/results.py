"""What metrics give as their results while a step runs, known by identity.

A step that logs such a tensor, in place of the metric, logs a number like any other:
its mean over a pass is one of running values. By public names of Keras
(`Metric.result`, `update_state`, `reset_state`), wrapped for as long as a step is
listened to, and heard in its own thread only. Nothing that the step computes changes.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, TracebackType
from typing import Any, Self, final

import keras

from ownloop.backends.wrapping import Wrapping

_NAMES = ("result", "update_state", "reset_state")


@final
@dataclass(frozen=True)
class RunningValue:
    """What a step logs as a number, and is the running value of a metric.

    Attributes:
        name: The name under which it is logged.
        metric: That of the metric.
        is_part: Whether the metric's result has several entries.
    """

    name: str
    metric: str
    is_part: bool


@final
class Results:
    """Takes note, inside its block, of what metrics give as their results.

    Example:
        >>> mean = keras.metrics.Mean(name="mean")
        >>> with Results() as results:
        ...     mean.update_state([1.0, 3.0])
        ...     value = mean.result()
        ...
        >>> results.find("loss", value)
        RunningValue(name='loss', metric='mean', is_part=False)
        >>> results.find("loss", 2 * value) is None
        True
    """

    def __init__(self) -> None:
        # The tensors themselves are held, so that no other gets the identity of one.
        self._given: dict[int, tuple[Any, keras.Metric, bool]] = {}
        self._updated: set[int] = set()
        self._reset: set[int] = set()

    def find(self, name: str, value: Any) -> "RunningValue | None":
        """Returns whose running value it is that a step logs, if it is one.

        A metric that the step leaves as it is has one value in all steps, and one that
        it resets has a value of its own in each: the mean of these is what it says.
        """
        tensor, metric, is_part = self._given.get(id(value), (None, None, False))
        if metric is None or tensor is not value:
            return None
        if id(metric) not in self._updated - self._reset:
            return None
        return RunningValue(name, metric.name, is_part=is_part)

    def is_updated(self, metric: keras.Metric) -> bool:
        """Whether `update_state` of a metric has been called; it has other words, too.

        Example:
            >>> mean = keras.metrics.Mean()
            >>> with Results() as results:
            ...     value = mean.result()
            ...
            >>> results.is_updated(mean)
            False
        """
        return id(metric) in self._updated

    def is_reset(self, metric: keras.Metric) -> bool:
        """Whether the step has reset a metric of Keras; others may do so themselves."""
        return id(metric) in self._reset and type(metric).__module__.startswith("keras")

    def __enter__(self) -> Self:
        _wrapping.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _wrapping.end(self)

    def note(self, name: str, metric: keras.Metric, given: Any) -> None:
        """Takes note of a call of one of a metric's methods, and of what it gave."""
        if name == "update_state":
            self._updated.add(id(metric))
        elif name == "reset_state":
            self._reset.add(id(metric))
        else:
            is_part = isinstance(given, Mapping)
            for tensor in _tensors(given):
                # A metric that hands on what another gave is not the one to return.
                self._given.setdefault(id(tensor), (tensor, metric, is_part))


def _wrappers() -> Iterator[tuple[type[keras.Metric], str, Callable[..., Any]]]:
    for owner in _classes(keras.Metric):
        for name in _NAMES:
            method = vars(owner).get(name)
            if isinstance(method, FunctionType):
                yield owner, name, _noted(name, method)


_wrapping: Wrapping[Results] = Wrapping(_wrappers)


def _noted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noted(self: keras.Metric, *arguments: Any, **options: Any) -> Any:
        given = method(self, *arguments, **options)
        for results in _wrapping.listeners:
            results.note(name, self, given)
        return given

    return noted


def _classes(base: type[keras.Metric]) -> Iterator[type[keras.Metric]]:
    """Yields a class and all below it, each once."""
    found = [base]
    for owner in found:
        yield owner
        found += [below for below in owner.__subclasses__() if below not in found]


def _tensors(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        for value in given.values():
            yield from _tensors(value)
    elif not isinstance(given, bool | int | float | complex | str | None):
        # Python has one object for many equal numbers.
        yield given
