"""How a step's state is found: scopes that see each variable read or assigned.

Keras sends every read and every assignment of a `keras.Variable` through the open
`keras.StatelessScope`, a public class. `Discovery` notes which variables pass by;
`Carried` serves them from values that a program carries. This file knows Keras and
no framework.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from ownloop.errors import StepError


class Discovery(keras.StatelessScope):
    """Notes each variable that is read or assigned while it is open.

    "Read only" is never inferred: optimizers may change a value in place, unseen.
    `stand_in`, where given, makes the value that is served for a variable at its first
    read, so that code which works in place never touches the real one. Variables that
    are created inside are initialised by Keras when the scope closes.

    Example:
        >>> import keras
        >>> v, w = keras.Variable(1.0), keras.Variable(2.0)
        >>> with Discovery() as found:
        ...     v.assign(3.0)  # doctest: +ELLIPSIS
        ...
        >>> [x is v for x in found.variables], float(v.value)
        ([True], 1.0)
    """

    def __init__(
        self, stand_in: Callable[[keras.Variable], Any] | None = None
    ) -> None:
        super().__init__()
        self._stand_in = stand_in
        self._found: dict[int, keras.Variable] = {}

    @property
    def variables(self) -> tuple[keras.Variable, ...]:
        """All that was seen, in the order of first use."""
        return tuple(self._found.values())

    def get_current_value(self, variable: keras.Variable) -> Any:
        first = id(variable) not in self._found
        self._found[id(variable)] = variable
        if first and self._stand_in is not None:
            value = self._stand_in(variable)
            if value is not None:
                self.state_mapping[id(variable)] = value
        return super().get_current_value(variable)

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self._found[id(update[0])] = update[0]
        super().add_update(update)


class Carried(keras.StatelessScope):
    """Serves variables from carried values and collects what is assigned.

    A variable that discovery did not see is an error: its value would be frozen into
    the compiled program. `on_read` is told of each read, so that tapes can watch.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        values: Sequence[Any],
        on_read: Callable[[keras.Variable, Any], None] | None = None,
    ) -> None:
        super().__init__(initialize_variables=False)
        self._known = tuple(variables)
        self._on_read = on_read
        for variable, value in zip(variables, values, strict=True):
            self.state_mapping[id(variable)] = value

    def get_current_value(self, variable: keras.Variable) -> Any:
        self._check(variable)
        value = self.state_mapping[id(variable)]
        if self._on_read is not None:
            self._on_read(variable, value)
        return value

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self._check(update[0])
        super().add_update(update)

    def values(self) -> list[Any]:
        """The present value of each variable, in the order they were given."""
        return [self.state_mapping[id(variable)] for variable in self._known]

    def _check(self, variable: keras.Variable) -> None:
        if id(variable) not in self.state_mapping:
            raise StepError(
                f"The step used the variable {variable.path!r} while it was compiled, "
                "but not when its state was looked for just before. A step must use "
                "the same variables at every call. Create the variable outside the "
                "step, and let no Python value that the step itself changes decide "
                "what it uses."
            )
