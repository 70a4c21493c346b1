"""The words that a case may use besides Keras: ours, and in `native` TensorFlow's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Dialect:
    """What `t` is in a case.

    GradientTape: the class. value_and_grad: `(function, variables, has_aux=False)` to
    a function. name_of: the name under which a variable from `watched_variables()` is
    given, or "?"; `t.watched(tape, a=a, b=b)` uses it.
    """

    GradientTape: Any
    value_and_grad: Callable[..., Any]
    is_same: Callable[[Any, keras.Variable], bool]

    def watched(self, tape: Any, **variables: keras.Variable) -> list[str]:
        """Names the tape's watched variables in their order, by the names given."""
        return [
            next((n for n, v in variables.items() if self.is_same(found, v)), "?")
            for found in tape.watched_variables()
        ]


def ours() -> Dialect:
    """Returns the words of `ownloop`."""
    import ownloop as ol

    return Dialect(ol.GradientTape, ol.value_and_grad, lambda found, v: found is v)
