"""Variables that a step creates while it runs eagerly, with their first values.

A step that is traced has its variables before it runs. One that runs as plain Python
makes them on the way (weights, optimizer slots), and changes them in the same step.
For as long as somebody takes note, `keras.Variable.__init__` is wrapped.
"""

from types import TracebackType
from typing import Any, Self, final

import keras

from ownloop.backends.scope import stored_value


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
        self._is_own = False
        self._plain: Any = None

    @property
    def variables(self) -> tuple[keras.Variable, ...]:
        """The variables, in the order in which they were made."""
        return tuple(variable for variable, _ in self._born)

    @property
    def values(self) -> tuple[Any, ...]:
        """Their first values, in the form that a snapshot has them in."""
        return tuple(value for _, value in self._born)

    def __enter__(self) -> Self:
        self._is_own = "__init__" in vars(keras.Variable)
        plain = self._plain = keras.Variable.__init__
        born = self._born

        def create(variable: keras.Variable, *arguments: Any, **options: Any) -> None:
            plain(variable, *arguments, **options)
            # Not `variable.value`, which a tape would take for a read.
            value = stored_value(variable)
            if value is not None:
                born.append((variable, keras.ops.copy(value)))

        keras.Variable.__init__ = create
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_own:
            keras.Variable.__init__ = self._plain
        else:
            del keras.Variable.__init__
