"""Small graphs over given variables: made once, and called without arguments.

A graph has its variables built in, since to hand them over each time takes longer than
what is done with them. It is forgotten as soon as one of them is.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import tensorflow as tf

from ownloop.backends.scope import stored_value


@final
class SmallGraphs:
    """The graphs that do one thing, by the variables that they do it to.

    Args:
        function: Takes the variables' own values, and returns tensors.

    Example:
        >>> sums = SmallGraphs(lambda values: tf.add_n(values))
        >>> a, b = keras.Variable(1.0), keras.Variable(5.0)
        >>> float(sums.over([a, b])())
        6.0
    """

    def __init__(self, function: Callable[[Sequence[Any]], Any]) -> None:
        self._function = function
        # By the identities of the variables, as long as all of them live.
        self._graphs: dict[tuple[int, ...], Callable[[], Any]] = {}

    def over(self, variables: Sequence[keras.Variable]) -> Callable[[], Any]:
        """Returns the graph over these variables."""
        key = tuple(map(id, variables))
        graph = self._graphs.get(key)
        if graph is None:
            graph = self._graphs[key] = self._build([weakref.ref(v) for v in variables])
            for variable in variables:
                weakref.finalize(variable, self._graphs.pop, key, None).atexit = False
        return graph

    def _build(self, references: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
        # Not the variables themselves, which the graph's function would keep alive.
        def run() -> Any:
            return self._function([stored_value(variable()) for variable in references])

        return tf.function(run, autograph=False).get_concrete_function()
