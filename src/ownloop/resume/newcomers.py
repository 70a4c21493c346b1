"""Which Keras objects are new: those that are made after the code has come back.

What an earlier process had made, this one has made again when it comes to where the
run was left. What is made from there on has never had a state, however much it looks
like something that had one: such as an optimizer that is made anew for each epoch.
"""

import gc
import weakref
from collections.abc import Sequence
from typing import Any, Final, final

import keras

_KINDS: Final = (
    keras.Layer,
    keras.Metric,
    keras.Variable,
    keras.optimizers.Optimizer,
)


@final
class Newcomers:
    """Knows which objects were there at one instant, and which came later.

    Example:
        >>> early, newcomers = keras.Variable(0.0), Newcomers()
        >>> newcomers.begin()
        >>> late = keras.Variable(0.0)
        >>> [variable is late for variable in newcomers.variables([early, late])]
        [True]
    """

    def __init__(self) -> None:
        # By identity, what is not new; None: nothing is.
        self._old: dict[int, weakref.ref[Any]] | None = None

    def begin(self) -> None:
        """Says that all that is there by now is not new."""
        self._old = None
        if not gc.get_freeze_count():  # Else there is more than can be listed.
            self._old = {
                id(thing): weakref.ref(thing)
                for thing in gc.get_objects()
                # By its type: a proxy would do who knows what to tell its class.
                if issubclass(type(thing), _KINDS)
            }

    def variables(self, owners: Sequence[Any]) -> list[keras.Variable]:
        """Returns those variables that only new objects have.

        Args:
            owners: Variables, and what has `variables`.
        """
        if self._old is None:
            return []
        old: set[int] = set()
        new: dict[int, keras.Variable] = {}
        for owner in owners:
            is_variable = isinstance(owner, keras.Variable)
            variables = [owner] if is_variable else owner.variables
            if self._is_old(owner):
                old.update(map(id, variables))
            else:
                new |= {id(variable): variable for variable in variables}
        return [v for n, v in new.items() if n not in old and not self._is_old(v)]

    def _is_old(self, thing: Any) -> bool:
        known = (self._old or {}).get(id(thing))
        return known is not None and known() is thing
