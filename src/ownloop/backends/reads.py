"""How a tape learns that a variable is read: while one listens, Keras tells.

Keras has no public word for "a variable was read". While somebody listens, the
property `keras.Variable.value`, through which every read goes, is wrapped; when the
last one has stopped listening, the class is as Keras made it.
"""

from collections.abc import Callable
from typing import Any

import keras

from ownloop.backends.scope import AbstractScope, open_scope, stored_value
from ownloop.backends.wrapping import Wrapping

Listener = Callable[[keras.Variable, Any], Any]
"""Told of a variable and its stored value; returns the value that is to be served."""

_keras_property: property = keras.Variable.value
_wrapping: Wrapping[Listener] = Wrapping(
    lambda: [(keras.Variable, "value", property(_read, doc=_keras_property.__doc__))]
)


def listen(listener: Listener) -> None:
    """Begins to tell `listener` of each read of a variable in this thread.

    Example:
        >>> import keras
        >>> seen = []
        >>> def note(variable, value):
        ...     seen.append(variable)
        ...     return value
        ...
        >>> v = keras.Variable(1.0)
        >>> listen(note)
        >>> doubled = v * 2.0
        >>> unlisten(note)
        >>> tripled = v * 3.0
        >>> [variable is v for variable in seen]
        [True]
    """
    _wrapping.begin(listener)


def unlisten(listener: Listener) -> None:
    """Stops telling `listener`."""
    _wrapping.end(listener)


def _read(variable: keras.Variable) -> Any:
    """Stands in for the property `value` of Keras' variables."""
    stored = _stored(variable) if _wrapping.listeners else None
    if stored is None:
        return _keras_property.__get__(variable)
    served = stored
    for listener in tuple(_wrapping.listeners):
        served = listener(variable, served)
    if served is stored:
        return _keras_property.__get__(variable)
    with keras.StatelessScope([(variable, served)], initialize_variables=False):
        return _keras_property.__get__(variable)


def _stored(variable: keras.Variable) -> Any:
    """Returns the variable's value as it is stored; None where it has none.

    None, too, where a scope of the user's own serves another value in its place, as
    `model.stateless_call` does: then it is that value which is read.
    """
    scope = open_scope()
    if isinstance(scope, AbstractScope):
        value = scope.get_current_value(variable)
        if value is not None:
            return value
    elif scope is not None and id(variable) in scope.state_mapping:
        return None
    return stored_value(variable)
