"""Gradients on TensorFlow: its own tape, spoken to with Keras variables."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import keras
import tensorflow as tf

from ownloop.backends.contract import AbstractTape, Tensor
from ownloop.errors import TapeError


@final
class TensorFlowTape(AbstractTape):
    """A `tf.GradientTape` that also knows the `trainable` flags of Keras.

    Keras changes a flag after TensorFlow's variable was made, which keeps the old one.
    """

    def __init__(self, persistent: bool, watch_accessed_variables: bool) -> None:
        self._tape = tf.GradientTape(persistent, watch_accessed_variables)
        # Identities are only unique among living objects, so all are kept alive.
        self._watched: dict[int, keras.Variable] = {}

    def start(self) -> None:
        self._tape.__enter__()

    def stop(self) -> None:
        # TensorFlow lets go of what is stopped already.
        self._tape.__exit__(None, None, None)

    def watch(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            if isinstance(tensor, keras.Variable):
                self._watched[id(tensor)] = tensor
            self._tape.watch(_native(tensor))

    def read(self, variable: keras.Variable, value: Tensor) -> Tensor:
        return value

    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        native = [_native(target) for target in targets]
        weights = None
        if any(weight is not None for weight in output_gradients):
            weights = [
                tf.ones_like(target) if weight is None else weight
                for target, weight in zip(native, output_gradients, strict=True)
            ]
        try:
            found: list[Tensor | None] = self._tape.gradient(
                native, [_native(source) for source in sources], weights
            )
        except LookupError as error:
            if "gradient registry has no entry" not in str(error):
                raise
            raise TapeError(
                "The target depends on an operation of which TensorFlow knows no "
                f"gradient ({error}). Use another operation, such as "
                "`keras.ops.scatter_update` for `keras.ops.slice_update`; give it a "
                "gradient with `keras.ops.custom_gradient`; or, where none is meant to "
                "flow, wrap its inputs in `keras.ops.stop_gradient`."
            ) from error
        return [
            None if self._is_frozen(source) else _dense(gradient)
            for source, gradient in zip(sources, found, strict=True)
        ]

    def rows(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        seeds: Tensor,
        *,
        vectorized: bool,
    ) -> list[Tensor | None]:
        def over_seeds(row: Callable[[Tensor], list[Tensor]]) -> Iterable[Tensor]:
            if vectorized:
                return tf.vectorized_map(row, seeds)
            columns = zip(*(row(seed) for seed in tf.unstack(seeds)), strict=True)
            return [tf.stack(column) for column in columns]

        return self.map_rows(target, sources, over_seeds)

    def _is_frozen(self, source: Tensor) -> bool:
        if not isinstance(source, keras.Variable) or source.trainable:
            return False
        return id(source) not in self._watched


def _dense(gradient: Tensor | None) -> Tensor | None:
    """Gathers give slices on TensorFlow, and plain tensors everywhere else."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient)
    return gradient


def value_and_grad(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    arguments: tuple[Any, ...],
    has_aux: bool,
) -> tuple[Any, list[Tensor | None]]:
    """Calls a function under a tape that watches these variables."""
    native = [_native(variable) for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(native)
        value = function(*arguments)
    loss = value[0] if has_aux else value
    return value, tape.gradient(
        loss, native, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def _native(value: Any) -> Any:
    return value.value if isinstance(value, keras.Variable) else value
