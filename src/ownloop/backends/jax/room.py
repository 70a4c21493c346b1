"""The JAX room: the eleven verbs, each in its own file beside this one."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, final

import jax
import keras
import numpy as np

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
from ownloop.backends.jax import complaints, finite, gradient, place, state
from ownloop.backends.jax.branching import carrying
from ownloop.backends.jax.compile import JaxProgram, keep_compilations
from ownloop.backends.jax.recording import JaxTape
from ownloop.backends.scope import stored_values

_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)


@final
class Jax(AbstractBackend):
    """Keras on JAX."""

    def __init__(self) -> None:
        keep_compilations()

    def compile(
        self, step: StepFunction, batch: Sequence[LeafSpec], *, eager: bool = False
    ) -> AbstractProgram:
        batch = [place.canonical(leaf) for leaf in batch]
        step = carrying(step)
        if eager:
            return EagerProgram(step, (), batch, "compile=False")
        return JaxProgram(step, state.discover(step, batch), batch)

    def place(self, arrays: Sequence[np.ndarray]) -> Placed:
        return place.place(arrays)

    def read(
        self, variables: Sequence[keras.Variable], *, reuse: Snapshot | None = None
    ) -> Snapshot:
        # JAX arrays never change, and no program here donates them.
        return Snapshot(tuple(stored_values(variables)))

    def write(self, variables: Sequence[keras.Variable], snapshot: Snapshot) -> None:
        for variable, value in zip(variables, snapshot.values, strict=True):
            variable.assign(value)

    def finite(self, variables: Sequence[keras.Variable]) -> np.ndarray:
        return finite.finite(variables)

    def tape(self, *, persistent: bool, watch_accessed_variables: bool) -> JaxTape:
        # What is recorded lives as long as the tape: every tape is persistent.
        return JaxTape(watch_accessed_variables)

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
        return isinstance(tensor, jax.core.Tracer)

    def explain(self, error: Exception) -> str:
        return complaints.explain(error)

    def describe(self) -> Description:
        devices = tuple(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
        # XLA is in it.
        settings = {"jaxlib": version("jaxlib")}
        settings |= {name: getattr(jax.config, name) for name in _SETTINGS}
        return Description("jax", jax.__version__, devices, settings=settings)
