"""The TensorFlow room: the eleven verbs, each in its own file beside this one."""

from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf

from ownloop.backends.contract import (
    AbstractBackend,
    AbstractProgram,
    Description,
    LeafSpec,
    Placed,
    Snapshot,
    StepFunction,
    Tensor,
)
from ownloop.backends.eager import EagerProgram
from ownloop.backends.tensorflow import complaints, finite, gradient, place, state
from ownloop.backends.tensorflow.compile import TensorFlowProgram


@final
class TensorFlow(AbstractBackend):
    """Keras on TensorFlow."""

    def compile(
        self, step: StepFunction, batch: Sequence[LeafSpec], *, eager: bool = False
    ) -> AbstractProgram:
        batch = [place.canonical(leaf) for leaf in batch]
        if eager:
            return EagerProgram(step, (), batch, "compile=False")
        return TensorFlowProgram(step, state.discover(step, batch), batch)

    def place(self, arrays: Sequence[np.ndarray]) -> Placed:
        return place.place(arrays)

    def read(
        self, variables: Sequence[keras.Variable], *, reuse: Snapshot | None = None
    ) -> Snapshot:
        return state.read(variables, again=reuse is not None)

    def write(self, variables: Sequence[keras.Variable], snapshot: Snapshot) -> None:
        for variable, value in zip(variables, snapshot.values, strict=True):
            variable.assign(value)

    def finite(self, variables: Sequence[keras.Variable]) -> np.ndarray:
        return finite.finite(variables)

    def tape(
        self, *, persistent: bool, watch_accessed_variables: bool
    ) -> gradient.TensorFlowTape:
        return gradient.TensorFlowTape(persistent, watch_accessed_variables)

    def value_and_grad(
        self,
        function: Callable[..., Any],
        variables: Sequence[keras.Variable],
        arguments: tuple[Any, ...],
        *,
        has_aux: bool,
    ) -> tuple[Any, list[Tensor | None]]:
        return gradient.value_and_grad(function, variables, arguments, has_aux)

    def cond(
        self,
        pred: Tensor,
        then: Callable[[], Any],
        otherwise: Callable[[], Any],
    ) -> Any:
        return state.cond(pred, then, otherwise)

    def is_placeholder(self, tensor: Tensor) -> bool:
        return bool(tf.is_symbolic_tensor(tensor))

    def explain(self, error: Exception) -> str:
        return complaints.explain(error)

    def describe(self) -> Description:
        devices = tuple(
            device.name.removeprefix("/physical_device:")
            for device in tf.config.list_physical_devices()
        )
        threads = tf.config.threading.get_intra_op_parallelism_threads() or None
        between = tf.config.threading.get_inter_op_parallelism_threads() or None
        settings = {
            "inter-op threads": between,
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "jit": tf.config.optimizer.get_jit() or None,
        }
        return Description("tensorflow", tf.__version__, devices, threads, settings)
