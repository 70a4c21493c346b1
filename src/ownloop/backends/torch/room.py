"""The PyTorch room: the eleven verbs, each in its own file beside this one."""

from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import numpy as np
import torch
from torch._subclasses import FakeTensor

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
from ownloop.backends.torch import complaints, finite, gradient, inductor, place, state
from ownloop.backends.torch.compile import compile_step


@final
class Torch(AbstractBackend):
    """Keras on PyTorch."""

    def compile(
        self, step: StepFunction, batch: Sequence[LeafSpec], *, eager: bool = False
    ) -> AbstractProgram:
        return compile_step(step, batch, eager=eager)

    def place(self, arrays: Sequence[np.ndarray]) -> Placed:
        return place.place(arrays)

    def read(
        self, variables: Sequence[keras.Variable], *, reuse: Snapshot | None = None
    ) -> Snapshot:
        return state.read(variables, reuse)

    def write(self, variables: Sequence[keras.Variable], snapshot: Snapshot) -> None:
        state.write(variables, snapshot)

    def finite(self, variables: Sequence[keras.Variable]) -> np.ndarray:
        return finite.finite(variables)

    def tape(
        self, *, persistent: bool, watch_accessed_variables: bool
    ) -> gradient.TorchTape:
        # What autograd records lives as long as its tensors: every tape is persistent.
        return gradient.TorchTape(watch_accessed_variables)

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
        return isinstance(tensor, FakeTensor)

    def explain(self, error: Exception) -> str:
        return complaints.explain(error)

    def describe(self) -> Description:
        devices = ["cpu"]
        if torch.cuda.is_available():
            count = torch.cuda.device_count()
            devices += [torch.cuda.get_device_name(i) for i in range(count)]
        return Description(
            "torch",
            torch.__version__,
            tuple(devices),
            torch.get_num_threads(),
            {
                "precision of products": torch.get_float32_matmul_precision(),
                "deterministic": torch.are_deterministic_algorithms_enabled(),
                "C++ compiler": inductor.compiler_version(),
            },
        )
