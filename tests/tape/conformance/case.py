"""What a case is: a function over a dialect, its inputs, and what is known about it.

This file holds descriptions only. Nothing is made until `Case.variables` and
`Case.tensors` are called, and each call makes all inputs anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Variable:
    """A `keras.Variable` with this value."""

    value: Any
    dtype: str = "float32"
    trainable: bool = True

    def make(self) -> keras.Variable:
        value = np.asarray(self.value).astype(_numpy_dtype(self.dtype))
        return keras.Variable(value, dtype=self.dtype, trainable=self.trainable)


@dataclass(frozen=True)
class Tensor:
    """A tensor with this value; a compiled step takes it as data where it can."""

    value: Any
    dtype: str = "float32"

    def make(self) -> Any:
        return keras.ops.convert_to_tensor(self.value, dtype=self.dtype)

    @property
    def array(self) -> np.ndarray | None:
        """The value as data for a step; None for dtypes that data never have."""
        if self.dtype not in ("float32", "int32", "bool", "float16"):
            return None
        return np.asarray(self.value, self.dtype)


@dataclass(frozen=True)
class Built:
    """A layer or model, called once on zeros of these shapes, with set weights."""

    construct: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...] = ()
    dtype: str = "float32"

    def make(self) -> Any:
        thing = self.construct()
        if self.shapes:
            thing(*(keras.ops.zeros(shape, self.dtype) for shape in self.shapes))
        for place, weight in enumerate(thing.weights):
            # The backends' initializers differ, and equal weights are the point.
            value = np.random.default_rng(place).uniform(-0.8, 0.8, weight.shape)
            positive = "variance" in weight.path
            weight.assign(np.abs(value) + 0.5 if positive else value)
        return thing


def variable(value: Any, dtype: str = "float32", trainable: bool = True) -> Variable:
    """Declares an input that is a `keras.Variable`."""
    return Variable(value, dtype, trainable)


def tensor(value: Any, dtype: str = "float32") -> Tensor:
    """Declares an input that is a tensor."""
    return Tensor(value, dtype)


def built(
    construct: Callable[[], Any], *shapes: tuple[int, ...], dtype: str = "float32"
) -> Built:
    """Declares an input that is a layer or a model, called on these shapes once."""
    return Built(construct, shapes, dtype)


@dataclass(frozen=True)
class Difference:
    """A case whose outcome is meant to differ from TensorFlow's.

    reason: why ours is better. error: the class from `ownloop.errors` that is raised
    where TensorFlow gives an answer. gives: where TensorFlow fails or gives something
    else, what comes out instead, with `Tensor`s for tensors.
    """

    reason: str
    error: str | None = None
    match: str = ""
    gives: Any = None

    def made(self) -> Any:
        """Returns what comes out instead."""
        return keras.tree.map_structure(
            lambda leaf: leaf.make() if isinstance(leaf, Tensor) else leaf, self.gives
        )


@dataclass(frozen=True)
class Case:
    """One scenario, the same on every backend and in every dialect.

    wide: whether it needs 64-bit floats, which JAX has to be asked for; such a case is
    not compiled, since a step's data and Keras' floats are no wider than 32 bits.
    eager_only: why it is not compiled, by backend or on all.
    always_compiled: whether it is one of the few that are compiled in each run of the
    tests, also where compiling takes long.
    refused_on: by backend, a pattern of the error that refuses it by design.
    skipped_on: by backend, why nothing can be compared.
    differs: what is known to differ, by backend or on all; see `Difference`.
    warns: a pattern of the warning that belongs to it, where TensorFlow logs one.
    rtol, atol: bounds for float32; unusual ones have a reason beside them.
    """

    name: str
    body: Callable[..., Any]
    inputs: Mapping[str, Variable | Tensor | Built]
    wide: bool = False
    eager_only: str | Mapping[str, str] | None = None
    always_compiled: bool = False
    refused_on: Mapping[str, str] = field(default_factory=dict)
    skipped_on: Mapping[str, str] = field(default_factory=dict)
    differs: Difference | Mapping[str, Difference] | None = None
    warns: str = ""
    rtol: float = 1e-5
    atol: float = 1e-6

    @property
    def category(self) -> str:
        """The file it is in."""
        return self.name.partition("/")[0]

    def why_not_compiled(self, backend: str) -> str | None:
        """Why this case is run eagerly only, on this backend."""
        if isinstance(self.eager_only, Mapping):
            return self.eager_only.get(backend)
        return self.eager_only

    def difference(self, backend: str) -> Difference | None:
        """What is known to differ from TensorFlow on this backend."""
        if isinstance(self.differs, Mapping):
            return self.differs.get(backend)
        return self.differs

    def variables(self) -> dict[str, Any]:
        """Makes the inputs that live outside of a step: variables, layers, models."""
        return {
            name: given.make()
            for name, given in self.inputs.items()
            if not isinstance(given, Tensor)
        }

    def tensors(self) -> dict[str, Any]:
        """Makes the inputs that are tensors."""
        return {
            name: given.make()
            for name, given in self.inputs.items()
            if isinstance(given, Tensor)
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Gives those of the tensors that can be a step's data, as arrays."""
        found = {
            name: given.array
            for name, given in self.inputs.items()
            if isinstance(given, Tensor)
        }
        return {name: array for name, array in found.items() if array is not None}


CASES: dict[str, Case] = {}
"""All cases by name, in the order of their files."""

_ABOUT = {
    "wide",
    "eager_only",
    "always_compiled",
    "refused_on",
    "skipped_on",
    "differs",
    "warns",
    "rtol",
    "atol",
}


def case(**given: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as a case: its inputs by name, and what is known about it.

    Example:
        >>> @case(a=variable(3.0))
        ... def square(t, a):
        ...     with t.GradientTape() as tape:
        ...         loss = a * a
        ...     return tape.gradient(loss, a)
        ...
        >>> CASES.pop("__main__/square").inputs
        {'a': Variable(value=3.0, dtype='float32', trainable=True)}
    """
    about = {name: value for name, value in given.items() if name in _ABOUT}
    inputs = {name: value for name, value in given.items() if name not in _ABOUT}

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        name = f"{body.__module__.rpartition('.')[2]}/{body.__name__}"
        if name in CASES:
            raise ValueError(f"There are two cases with the name {name!r}.")
        CASES[name] = Case(name, body, inputs, **about)
        return body

    return register


def _numpy_dtype(dtype: str) -> Any:
    # NumPy has no bfloat16; Keras rounds float32 to it.
    return np.float32 if dtype == "bfloat16" else np.dtype(dtype)
