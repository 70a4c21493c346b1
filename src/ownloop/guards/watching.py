"""What a step does, seen while it runs eagerly: layers' outputs and gradients.

By public names of Keras (`Layer.__call__`, `Optimizer.apply`) and the verbs of our own
backends, wrapped for as long as somebody watches, one thread at a time and only what
that thread does. Nothing that the step computes changes.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import keras

from ownloop import backends

Outputs = Callable[[keras.Layer, Any, Any], None]
"""Told of a layer, the arguments of its call, and what it returned."""

Gradients = Callable[[Sequence[Any], Sequence[Any]], None]
"""Told of sources (variables or tensors), and of the gradient for each."""

_ONE_AT_A_TIME: Final = threading.RLock()
"""Held while somebody watches: who began first could not take the wrapper off first."""


@contextlib.contextmanager
def watching(outputs: Outputs, gradients: Gradients) -> Iterator[None]:
    """Tells of each layer's output and of all gradients, until the block's end.

    Example:
        >>> seen = []
        >>> double = keras.layers.Rescaling(2.0, name="double")
        >>> def note(layer, arguments, output):
        ...     seen.append(layer.name)
        ...
        >>> with watching(note, lambda sources, gradients: None):
        ...     y = double(keras.ops.ones((2,)))
        ...
        >>> seen
        ['double']
    """
    thread = threading.get_ident()

    def is_mine() -> bool:
        return threading.get_ident() == thread

    def layer(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: keras.Layer, *arguments: Any, **options: Any) -> Any:
            output = call(self, *arguments, **options)
            if is_mine():
                outputs(self, (arguments, options), output)
            return output

        return noted

    def optimizer(apply: Callable[..., Any]) -> Callable[..., Any]:
        # By Keras' own names, since users and other optimizers may call it by them.
        def noted(
            self: keras.optimizers.Optimizer,
            grads: Any,
            trainable_variables: Any = None,
        ) -> Any:
            grads = list(grads)
            if trainable_variables is not None:
                trainable_variables = list(trainable_variables)
                # Without any gradient Keras does nothing, for whatever variables.
                if grads and is_mine():
                    gradients(trainable_variables, grads)
            return apply(self, grads, trainable_variables)

        return noted

    def tape(make: Callable[..., Any]) -> Callable[..., Any]:
        def noted(**options: Any) -> Any:
            made = make(**options)
            plain = made.gradient

            def gradient(targets: Any, sources: Any, output_gradients: Any) -> Any:
                found = plain(targets, sources, output_gradients)
                if is_mine():
                    gradients(sources, found)
                return found

            made.gradient = gradient
            return made

        return noted

    def function(compute: Callable[..., Any]) -> Callable[..., Any]:
        def noted(what: Any, variables: Any, arguments: Any, *, has_aux: bool) -> Any:
            value, found = compute(what, variables, arguments, has_aux=has_aux)
            if is_mine():
                gradients(variables, found)
            return value, found

        return noted

    backend = backends.current()
    with (
        _ONE_AT_A_TIME,
        _wrapped(keras.Layer, "__call__", layer),
        _wrapped(keras.optimizers.Optimizer, "apply", optimizer),
        _wrapped(backend, "tape", tape),
        _wrapped(backend, "value_and_grad", function),
    ):
        yield


@contextlib.contextmanager
def _wrapped(
    owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Puts a wrapper in the place of a function, and the function back afterwards."""
    is_own = name in vars(owner)
    function = getattr(owner, name)
    setattr(owner, name, wrap(function))
    try:
        yield
    finally:
        if is_own:
            setattr(owner, name, function)
        else:
            delattr(owner, name)
