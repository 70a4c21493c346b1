"""The contract: eleven verbs that a backend speaks, each with its law.

    compile         a step and the shape of a batch -> a program for any number of steps
    place           whole arrays -> the same arrays on the device
    read, write     the values of variables -> a snapshot, and back
    finite          variables -> which of them hold neither NaN nor infinity
    tape            a recorder of one block, for gradients
    value_and_grad  the same for a function, on public framework API only
    cond            a branch that may change state
    is_placeholder  a tensor -> whether it only stands for one, in a step being compiled
    explain         an error of the framework's in a step -> what to do about it
    describe        what runs here: versions, device, threads

This file knows no framework. The loop exists once, above it; a backend is these
verbs and not a trainer. Each room (`jax/`, `tensorflow/`, `torch/`) has the same
file names where it does the same thing: compile, finite, gradient, place, recording,
state, room.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import keras
import numpy as np

Tensor = Any
"""A tensor of the framework in use; nothing here looks inside one."""

FUSED = "fused loop"
STEPWISE = "step by step"
EAGER = "eager"


@final
@dataclass(frozen=True)
class LeafSpec:
    """The shape and dtype of one array of a batch, for example (32, 784) float32."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: np.ndarray) -> "LeafSpec":
        """Returns an array's own."""
        return cls(array.shape, str(array.dtype))

    def in_floatx(self) -> "LeafSpec":
        """Returns the spec with Keras' default float in place of float64.

        Example:
            >>> LeafSpec((32,), "float64").in_floatx()
            LeafSpec(shape=(32,), dtype='float32')
        """
        if self.dtype != "float64":
            return self
        return LeafSpec(self.shape, keras.config.floatx())


@final
@dataclass(frozen=True)
class Placed:
    """Whole arrays, one per leaf of a batch, where the device can gather from them."""

    arrays: tuple[Tensor, ...]


class Segment(Protocol):
    """Consecutive batches of equal shape: either rows to gather, or stacked leaves.

    count: how many batches. rows: (count, batch) row numbers into placed arrays, or
    None. leaves: one (count, batch, ...) NumPy array per leaf, or None.
    """

    @property
    def count(self) -> int: ...
    @property
    def rows(self) -> np.ndarray | None: ...
    @property
    def leaves(self) -> Sequence[np.ndarray] | None: ...


@final
@dataclass(frozen=True)
class StepValues:
    """What one call of a step returns, flat: the form that a backend can carry.

    every: scalars that are kept for each step. final: tensors of any shape of which
    only the last step's value is shown.
    """

    every: tuple[Tensor, ...]
    final: tuple[Tensor, ...]


StepFunction = Callable[[Sequence[Tensor]], StepValues]
"""The user's step, taking a batch's leaves and returning flat values."""


@final
@dataclass(frozen=True)
class ChunkValues:
    """The values of a run of steps, on the host.

    every: one array of length n per scalar. final: one array per tensor, from the
    last of the n steps. finite: for each variable, whether it is finite after the last
    step, where the program has looked; None: ask `AbstractBackend.finite`.
    """

    every: tuple[np.ndarray, ...]
    final: tuple[np.ndarray, ...]
    finite: np.ndarray | None = None


@final
@dataclass(frozen=True)
class Snapshot:
    """The values of some variables at one instant, safe against later changes.

    values: one entry per variable, in a form that the backend chooses. random: the
    state of the framework's own generator, where there is one that steps draw from.
    """

    values: tuple[Any, ...]
    random: Any = None


@final
@dataclass(frozen=True)
class Description:
    """What a backend runs on: what a run must record to be repeated exactly.

    Attributes:
        settings: What decides bits beside, by name, as JSON.
    """

    backend: str
    version: str
    devices: tuple[str, ...]
    threads: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


class AbstractProgram(ABC):
    """One step, made ready for batches of one shape.

    Laws: `run` over n batches equals n times one batch, to the bit, in variables and
    in values; the number of batches never causes a compilation; after `run` the Keras
    variables hold the new values; where `run` raises, they may hold anything, and the
    caller writes back the snapshot that it took before.
    """

    variables: tuple[keras.Variable, ...]
    """All that the step reads or changes, in the order of first use.

    An EAGER program may not know them all, since nothing was traced."""
    kind: str
    """How the steps are run: FUSED, STEPWISE or EAGER."""
    reason: str
    """Why not as fast as this backend can, in a few words; empty where it is.

    Of a FUSED program, what it is without: "without XLA, which cannot compile it"."""
    capacity: int
    """How many batches a segment may hold at most."""

    @abstractmethod
    def run(self, segments: Iterable[Segment], data: Placed | None) -> ChunkValues:
        """Advances the state over all the segments, in order.

        The segments are drawn one at a time, while the device is busy with the last
        one where the framework allows it. `data` holds what their `rows` refer to.
        """


class AbstractTape(ABC):
    """Records what happens between `start` and `stop`, to differentiate it later.

    Law: what runs while it is stopped is a constant to it, and so is whatever depends
    on nothing that it watches.
    """

    @abstractmethod
    def start(self) -> None:
        """Begins, or goes on, to record."""

    @abstractmethod
    def stop(self) -> None:
        """Stops recording; what was recorded stays. Stopping twice is once."""

    @abstractmethod
    def watch(self, tensors: Sequence[Tensor]) -> None:
        """Makes gradients with respect to these tensors and variables possible."""

    @abstractmethod
    def read(self, variable: keras.Variable, value: Tensor) -> Tensor:
        """Takes note that a variable is read, and returns the value to serve for it.

        Called for each read while recording. `value` is the variable's as it is
        stored, before mixed precision casts it.
        """

    @abstractmethod
    def gradient(
        self,
        targets: Sequence[Tensor],
        sources: Sequence[Tensor],
        output_gradients: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        """Returns the gradient of the sum of the targets for each source.

        A source is a tensor or a Keras variable; None stands for "not connected".
        """

    @abstractmethod
    def rows(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        seeds: Tensor,
        *,
        vectorized: bool,
    ) -> list[Tensor | None]:
        """Returns `gradient` of one target for each of a stack of output gradients.

        seeds: (rows, *target.shape). Each result: (rows, *source.shape). Computed
        all at once if `vectorized`, else one after another.
        """

    def map_rows(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        over_seeds: Callable[[Callable[[Tensor], list[Tensor]]], Iterable[Tensor]],
    ) -> list[Tensor | None]:
        """Returns `rows` where the framework maps a function over the seeds.

        over_seeds: takes the function of one seed that returns the gradients of the
        sources that are connected, and returns these for all seeds, stacked.
        """
        connected: list[bool] = []

        def row(seed: Tensor) -> list[Tensor]:
            found = self.gradient([target], sources, [seed])
            connected[:] = [gradient is not None for gradient in found]
            return [gradient for gradient in found if gradient is not None]

        stacked = iter(over_seeds(row))
        return [next(stacked) if is_connected else None for is_connected in connected]


class AbstractBackend(ABC):
    """One framework, as eleven verbs."""

    @abstractmethod
    def compile(
        self, step: StepFunction, batch: Sequence[LeafSpec], *, eager: bool = False
    ) -> AbstractProgram:
        """Makes a step ready for batches of this shape.

        Law: no variable changes its value, and each variable that the step creates on
        its first call (weights, optimizer slots, metric states) exists afterwards with
        the value that its initializer gives. An exception of the step comes out as it
        is. With `eager` nothing is compiled and each step runs as plain Python.
        """

    @abstractmethod
    def place(self, arrays: Sequence[np.ndarray]) -> Placed:
        """Copies whole arrays to the device; later changes to `arrays` are not seen."""

    @abstractmethod
    def read(
        self, variables: Sequence[keras.Variable], *, reuse: Snapshot | None = None
    ) -> Snapshot:
        """Keeps the values of variables, and of the framework's random generator.

        `reuse` is a snapshot of the same variables that nobody needs any more: its
        memory may be taken, since fresh memory costs more than the copy. That it is
        given says that these variables are read often.

        Law: nothing that runs later changes a snapshot, unless it is given as `reuse`.
        """

    @abstractmethod
    def write(self, variables: Sequence[keras.Variable], snapshot: Snapshot) -> None:
        """Puts the values of a snapshot back."""

    @abstractmethod
    def finite(self, variables: Sequence[keras.Variable]) -> np.ndarray:
        """Says for each variable whether all of its values are finite.

        Law: integers always are; values are reduced where they lie, and one array of
        flags, shape (variables,), comes to the host.
        """

    @abstractmethod
    def tape(self, *, persistent: bool, watch_accessed_variables: bool) -> AbstractTape:
        """Makes a recorder for one block of the user's code."""

    @abstractmethod
    def value_and_grad(
        self,
        function: Callable[..., Any],
        variables: Sequence[keras.Variable],
        arguments: tuple[Any, ...],
        *,
        has_aux: bool,
    ) -> tuple[Any, list[Tensor | None]]:
        """Calls `function(*arguments)`; returns its value and the gradients.

        Variables that the function assigns are assigned afterwards, as without it.
        """

    @abstractmethod
    def cond(
        self,
        pred: Tensor,
        then: Callable[[], Any],
        otherwise: Callable[[], Any],
    ) -> Any:
        """Runs one of two branches, which may assign variables and return none."""

    @abstractmethod
    def is_placeholder(self, tensor: Tensor) -> bool:
        """Says whether a tensor holds no numbers, since compiling a step made it."""

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """Says what to do about an error that a step has met, in a sentence.

        Law: nothing is said of an error that this framework, or Keras on it, would not
        raise: of most errors their own words say enough, and other words mislead.
        """

    @abstractmethod
    def describe(self) -> Description:
        """Says what runs here."""


def choose_capacity(batch: Sequence[LeafSpec], *, limit: int = 128) -> int:
    """Returns how many batches of this shape make a block of at most 16 MiB.

    A power of two and a pure function of the shape: programs are compiled for it, so
    it must not depend on how long a chunk or a data set is. Blocks are large enough
    to hide the cost of a call (measured at 128 batches of 32 x 784 float32), and
    small enough to stay near the processor.
    """
    nbytes = sum(int(np.prod(leaf.shape)) * _itemsize(leaf.dtype) for leaf in batch)
    capacity = 1
    while capacity < limit and 2 * capacity * max(nbytes, 1) <= 16 * 2**20:
        capacity *= 2
    return capacity


def _itemsize(dtype: str) -> int:
    """Returns the bytes of one element; bfloat16 and float8 are unknown to NumPy."""
    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 2
