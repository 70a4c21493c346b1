"""TensorFlow's own tape, for cases that hold `keras.Variable`s.

One thing is adapted and nothing else: a `keras.Variable` is exchanged for the
`tf.Variable` that it holds, in `watch` and in sources, and recognised by it in
`watched_variables`. As a target, and in computations, it is taken as it is.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from conformance.dialect import Dialect


class NativeTape(tf.GradientTape):
    """`tf.GradientTape`, told which `tf.Variable` a `keras.Variable` holds."""

    def watch(self, tensor: Any) -> None:
        super().watch(_held(tensor))

    def gradient(self, target: Any, sources: Any, *rest: Any, **named: Any) -> Any:
        return super().gradient(target, _held(sources), *rest, **named)

    def jacobian(self, target: Any, sources: Any, *rest: Any, **named: Any) -> Any:
        return super().jacobian(target, _held(sources), *rest, **named)

    def batch_jacobian(self, target: Any, source: Any, *rest: Any, **named: Any) -> Any:
        return super().batch_jacobian(target, _held(source), *rest, **named)


def value_and_grad(
    function: Callable[..., Any], variables: Any, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """What `ownloop.value_and_grad` promises, said with TensorFlow's tape."""

    def differentiated(*arguments: Any) -> tuple[Any, Any]:
        with NativeTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value = function(*arguments)
        loss = value[0] if has_aux else value
        return value, tape.gradient(loss, variables, unconnected_gradients="zero")

    return differentiated


def native() -> Dialect:
    """Returns the words of TensorFlow."""
    return Dialect(NativeTape, value_and_grad, lambda found, v: found is v.value)


def _held(structure: Any) -> Any:
    return tf.nest.map_structure(
        lambda leaf: leaf.value if isinstance(leaf, keras.Variable) else leaf, structure
    )
