"""Variables that a step creates while it runs eagerly, with their first values.

A step that is traced has its variables before it runs. One that runs as plain Python
makes them on the way (weights, optimizer slots), and changes them in the same step.
For as long as somebody takes note, `keras.Variable.__init__` is wrapped. Each thread
takes note of its own; when the last one has ended, the class is as Keras made it.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, final

import keras

from ownloop.backends.scope import stored_value
from ownloop.backends.wrapping import Wrapping


@final
class Births:
    """Takes note, inside its block, of each variable that comes to be.

    Example:
        >>> with Births() as births:
        ...     variable = keras.Variable(1.0, trainable=False)
        ...     after = variable.assign(2.0)
        ...
        >>> [float(value) for value in births.values]
        [1.0]
    """

    def __init__(self) -> None:
        self._born: list[tuple[keras.Variable, Any]] = []

    @property
    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables, in the order in which they were made."""
        return tuple(variable for variable, _ in self._born)

    @property
    def values(self) -> tuple[Any, ...]:
        """Their first values, in the form that a snapshot has them in."""
        return tuple(value for _, value in self._born)

    def note(self, variable: keras.Variable, value: Any) -> None:
        """Takes note of a variable that has come to be, with its first value."""
        self._born.append((variable, keras.ops.copy(value)))

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


def _noted(create: Callable[..., None]) -> Callable[..., None]:
    """Returns what stands in for `__init__` of Keras' variables."""

    def noted(variable: keras.Variable, *arguments: Any, **options: Any) -> None:
        create(variable, *arguments, **options)
        if not _wrapping.listeners:
            return
        # Not `variable.value`, which a tape would take for a read.
        value = stored_value(variable)
        if value is not None:
            for births in _wrapping.listeners:
                births.note(variable, value)

    return noted


_wrapping: Wrapping[Births] = Wrapping(
    lambda: [(keras.Variable, "__init__", _noted(keras.Variable.__init__))]
)
