"""How a step's state is found: scopes that see each variable read or assigned.

Keras sends every read and every assignment of a `keras.Variable` through the open
`keras.StatelessScope`, a public class. `Discovery` notes which variables pass by;
`Carried` serves them from values that a program carries. This file knows Keras and
no framework.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Self, final

import keras

from ownloop.errors import StepError


@final
class _Open(threading.local):
    """The scopes that are open in this thread, as Keras' own are, innermost last."""

    def __init__(self) -> None:
        self.scopes: list[AbstractScope] = []


_open = _Open()


def stored_dtype(variable: keras.Variable) -> str:
    """Returns the dtype that a variable is stored with.

    The public `variable.dtype` answers with the compute dtype while a layer with a
    mixed precision policy is being called, and Keras has no other word for this one.
    """
    return str(getattr(variable, "_dtype", variable.dtype))


def stored_value(variable: keras.Variable) -> Any:
    """Returns a variable's own value, as it is stored; None where it has none yet.

    The public `variable.value` casts it while a layer with a mixed precision policy
    is being called, and asks the scopes first. Keras has no other word for this one.
    """
    return variable._value


def stored_values(variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns the variables' own values; for one without, what it would begin with."""
    return [
        variable.value if value is None else value
        for variable, value in zip(variables, map(stored_value, variables), strict=True)
    ]


def surprise(path: str) -> StepError:
    """Returns the error for a variable that a step uses only while it is compiled."""
    return StepError(
        f"The step used the variable {path!r} while it was compiled, but not when its "
        "state was looked for just before. A step must use the same variables at every "
        "call. Create the variable outside the step, and let no Python value that the "
        "step itself changes decide what it uses."
    )


def open_scope() -> keras.StatelessScope | None:
    """Returns the innermost scope that is open, whoever opened it.

    Example:
        >>> import keras
        >>> with keras.StatelessScope() as scope:
        ...     open_scope() is scope
        ...
        True
    """
    probe = keras.StatelessScope(initialize_variables=False)
    with probe:
        return probe.original_scope


def innermost() -> "AbstractScope | None":
    """Returns the scope that a step now runs in; None where it runs eagerly.

    What another thread runs in is no matter here.
    """
    return _open.scopes[-1] if _open.scopes else None


Renew = Callable[[keras.Variable, Any], Any]
"""Takes a variable and what is assigned to it; returns the value that it will have."""


class AbstractScope(keras.StatelessScope):
    """A scope that ownloop opened: it knows what was assigned, and can be forked.

    Keras' scopes do not chain. A region of code that needs a scope of its own (a
    branch, a function under differentiation) runs in a fork, which starts from this
    scope's values; `merge` brings the fork's assignments back.

    `locate`, where given, tells which region of a trace the code runs in. A value that
    is assigned in another region than the scope's own could not leave it. `renew`,
    where set, is applied to whatever is assigned, here and in later forks.
    """

    def __init__(
        self,
        *,
        initialize_variables: bool,
        locate: Callable[[], object] | None,
    ) -> None:
        super().__init__(
            # Or `model.losses` would be without what `add_loss` gave, and in silence.
            collect_losses=True,
            initialize_variables=initialize_variables,
        )
        self._assigned: dict[int, keras.Variable] = {}
        self._locate = locate
        self._home: object = None
        self.renew: Renew | None = None

    def settle(self) -> None:
        """Makes the region that runs now the scope's own; entering does so, too."""
        self._home = self._locate() if self._locate else None

    @property
    def assigned(self) -> tuple[keras.Variable, ...]:
        """The variables that were assigned in this scope, in order of first time."""
        return tuple(self._assigned.values())

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        if self._locate and self._locate() is not self._home:
            raise StepError(
                f"The step assigned the variable {update[0].path!r} inside a function "
                "that JAX traces apart from the step: the body of `scan`, "
                "`while_loop`, `map` or the like, or a branch of `jax.lax.cond`. What "
                "is assigned there cannot leave it. Return the value from the body and "
                "assign it afterwards; use `ownloop.cond`, whose branches may assign; "
                "or call what has no state (`stateless_apply`, `stateless_call`)."
            )
        variable, value = update
        self._assigned[id(variable)] = variable
        if self.renew is not None:
            value = self.renew(variable, value)
        super().add_update((variable, value))

    def fork(self) -> Self:
        """Returns a scope of the same kind that starts from this one's values."""
        raise NotImplementedError

    def merge(self, variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
        """Assigns in this scope what was assigned in a fork."""
        for variable, value in zip(variables, values, strict=True):
            self.add_update((variable, value))

    def __enter__(self) -> Self:
        _open.scopes.append(self)
        self.settle()
        super().__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        _open.scopes.remove(self)
        super().__exit__(*details)


class Discovery(AbstractScope):
    """Notes each variable that is read or assigned while it is open.

    "Read only" is never inferred: optimizers may change a value in place, unseen.
    `stand_in`, where given, makes the value that is served for a variable at its first
    read, so that code which works in place never touches the real one. Variables that
    are created inside are initialised by Keras when the scope closes.

    Example:
        >>> import keras
        >>> used = keras.Variable(1.0, trainable=False)
        >>> unused = keras.Variable(2.0, trainable=False)
        >>> with Discovery() as found:
        ...     now = used.assign(3.0)
        ...
        >>> [v is used for v in found.variables], float(used.value)
        ([True], 1.0)
    """

    def __init__(
        self,
        stand_in: Callable[[keras.Variable], Any] | None = None,
        locate: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(initialize_variables=True, locate=locate)
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
        value = super().get_current_value(variable)
        # Not None, since some of Keras asks a scope without a way out (regularizers).
        return stored_value(variable) if value is None else value

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self._found[id(update[0])] = update[0]
        super().add_update(update)

    def fork(self) -> "Discovery":
        twin = Discovery(self._stand_in, self._locate)
        twin._found = self._found
        twin.state_mapping = dict(self.state_mapping)
        twin.renew, twin.losses = self.renew, self.losses
        return twin


class Carried(AbstractScope):
    """Serves variables from carried values and collects what is assigned.

    A variable that discovery did not see is an error: its value would be frozen into
    the compiled program.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        values: Sequence[Any],
        locate: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(initialize_variables=False, locate=locate)
        self._known = tuple(variables)
        for variable, value in zip(variables, values, strict=True):
            self.state_mapping[id(variable)] = value

    def get_current_value(self, variable: keras.Variable) -> Any:
        self._check(variable)
        return self.state_mapping[id(variable)]

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self._check(update[0])
        super().add_update(update)

    def fork(self) -> "Carried":
        twin = Carried(self._known, self.values(), self._locate)
        twin.renew, twin.losses = self.renew, self.losses
        return twin

    def values(self) -> list[Any]:
        """The present value of each variable, in the order they were given."""
        return [self.state_mapping[id(variable)] for variable in self._known]

    def _check(self, variable: keras.Variable) -> None:
        if id(variable) not in self.state_mapping:
            raise surprise(variable.path)
