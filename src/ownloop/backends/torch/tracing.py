"""From a user's step to one graph of PyTorch operations, gradients included.

`rehearse` runs the step on copies, which finds its variables and brings out the user's
own exceptions. `trace` runs it again on fake tensors and records what it does. Python
cannot be recorded: where the step asks a tensor for a Python value, it is either one
of the cases below, or an error, and the step is then run eagerly.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import keras
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from ownloop.backends.contract import LeafSpec, StepFunction, StepValues, Tensor
from ownloop.backends.torch import random
from ownloop.backends.torch.state import Leaves, Rehearsal, as_leaf
from ownloop.errors import StepError

_MOST_PATHS = 8
"""A step with more ways through its `if`s than this is not compiled."""

_FIRST_TOKEN = 0x5EED0000
"""Integers from here on stand for seeds whose value a trace cannot know."""


class CannotTrace(Exception):
    """What a step does that a graph cannot hold, in a few words."""


@dataclass(frozen=True)
class Graph:
    """A traced step: (state..., leaves...) -> (every..., final...), state in place."""

    module: torch.fx.GraphModule
    every: int
    examples: tuple[Tensor, ...]


@dataclass
class _Notes:
    every: int = 0
    paths: int = 0
    tokens: dict[int, Tensor] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)


def rehearse(
    step: StepFunction, batch: Sequence[LeafSpec]
) -> tuple[keras.Variable, ...]:
    """Runs the step on copies of its state and made-up data; returns its variables.

    Both outcomes of each `if` on a tensor are tried, so that a variable that is used
    in one step of a hundred is found as well. Nothing keeps what is computed.
    """
    generators = random.read()
    scope = Rehearsal()
    try:
        with scope:
            asked = _rehearse_path(step, batch, scope, ())
            waiting = [(*asked[:i], not asked[i]) for i in range(len(asked))]
            for _ in range(2 * _MOST_PATHS):
                if not waiting:
                    break
                path = waiting.pop(0)
                # A way that is not taken may fail where the step checks its values.
                with contextlib.suppress(Exception):
                    asked = _rehearse_path(step, batch, scope, path)
                    new = range(len(path), len(asked))
                    waiting += [(*asked[:i], not asked[i]) for i in new]
    finally:
        random.write(generators)
    return scope.variables


def _rehearse_path(
    step: StepFunction,
    batch: Sequence[LeafSpec],
    scope: Rehearsal,
    answers: tuple[bool, ...],
) -> tuple[bool, ...]:
    answering = _Answering(answers)
    with torch.no_grad(), answering:
        step([_made_up(leaf) for leaf in batch])
    return answering.given


@final
class _Answering(TorchFunctionMode):
    """Answers the first questions "is this tensor true?" as told, then truthfully."""

    def __init__(self, answers: tuple[bool, ...]) -> None:
        super().__init__()
        self._answers = answers
        self.given: tuple[bool, ...] = ()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func != torch.Tensor.__bool__:
            return func(*args, **(kwargs or {}))
        place = len(self.given)
        truth = func(*args)
        answer = self._answers[place] if place < len(self._answers) else truth
        self.given = (*self.given, answer)
        return answer


def _made_up(leaf: LeafSpec) -> Tensor:
    """Returns a batch that few steps stumble over: zeros, or numbers in [0, 1)."""
    zeros = keras.ops.zeros(leaf.shape, leaf.dtype)
    if not zeros.is_floating_point():
        return zeros
    return torch.rand(
        leaf.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32
    ).to(zeros)


def trace(
    step: StepFunction,
    variables: Sequence[keras.Variable],
    batch: Sequence[LeafSpec],
) -> Graph:
    """Records one step as a graph.

    Raises:
        CannotTrace: The step does what a graph cannot hold.
        StepError: The step uses other variables than in the rehearsal.
    """
    graph, notes = _trace_once(step, variables, batch, _FIRST_TOKEN)
    if notes.tokens:
        if notes.drawn != set(notes.tokens):
            raise CannotTrace("it seeds random numbers that a graph cannot draw")
        # The integers that stood for seeds must have gone into draws and nowhere
        # else: with other integers, the same graph must come out.
        again, _ = _trace_once(step, variables, batch, _FIRST_TOKEN + 0x10000)
        if not _equal(graph.module, again.module):
            raise CannotTrace("it computes with the Python integer of a tensor")
    return graph


def _trace_once(
    step: StepFunction,
    variables: Sequence[keras.Variable],
    batch: Sequence[LeafSpec],
    first_token: int,
) -> tuple[Graph, _Notes]:
    generators = random.read()
    notes = _Notes()
    examples = (
        *(variable.value.detach() for variable in variables),
        *(_made_up(leaf) for leaf in batch),
    )
    function = _Function(step, tuple(variables), notes, first_token)
    try:
        with torch.no_grad(), torch.autograd.set_multithreading_enabled(False):
            module = make_fx(
                function, tracing_mode="fake", _allow_non_fake_inputs=True
            )(*examples)
    finally:
        random.write(generators)
    return Graph(module, notes.every, examples), notes


class _Function:
    """The step as a function of tensors; it changes its first arguments in place."""

    def __init__(
        self,
        step: StepFunction,
        variables: tuple[keras.Variable, ...],
        notes: _Notes,
        first_token: int,
    ) -> None:
        self._step = step
        self._variables = variables
        self._notes = notes
        self._first_token = first_token

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        count = len(self._variables)
        state, leaves = tensors[:count], tensors[count:]
        scope = Leaves(
            self._variables,
            [as_leaf(t, v.trainable) for v, t in zip(self._variables, state)],
        )
        every, final_values = self._path(scope, leaves)
        self._notes.every = len(every)
        # Copies: a result must not share memory with the state, which goes on.
        return [value.detach().clone() for value in (*every, *final_values)]

    def _path(
        self, scope: Leaves, leaves: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        mode = _Tracing(self._notes, self._first_token)
        with scope, mode:
            values: StepValues = self._step(list(leaves))
        return list(values.every), list(values.final)


@final
class _Tracing(TorchFunctionMode):
    """Stands in where a step asks a tensor for a Python value."""

    def __init__(self, notes: _Notes, first_token: int) -> None:
        super().__init__()
        self._notes = notes
        self._first_token = first_token

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func == torch.Tensor.__int__:
            return self._token(args[0])
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Generator):
                return self._draw(func, args, kwargs)
        if isinstance(kwargs.get("alpha"), torch.Tensor):
            return _scaled(func, args, **kwargs)
        return func(*args, **kwargs)

    def _token(self, seed: Tensor) -> int:
        token = self._first_token + len(self._notes.tokens)
        self._notes.tokens[token] = seed
        return token

    def _draw(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
        generator = kwargs.pop("generator", None)
        token = None if generator is None else generator.initial_seed()
        if token not in self._notes.tokens or func not in random.DRAWS:
            name = getattr(func, "__name__", str(func))
            raise CannotTrace(f"it calls `{name}` with a generator of its own")
        self._notes.drawn.add(token)
        return random.DRAWS[func](self._notes.tokens[token], *args, **kwargs)


def _scaled(func: Any, args: Any, *, alpha: Tensor, **kwargs: Any) -> Any:
    """Calls `func(a, b, alpha=tensor)` as `func(a, b * tensor)`."""
    if kwargs or len(args) != 2:
        raise CannotTrace(f"it calls `{func.__name__}` with a tensor as a number")
    first, second = args
    if isinstance(second, list | tuple):
        return func(first, torch._foreach_mul(second, alpha.to(second[0].dtype)))
    return func(first, second * alpha)


def _equal(one: torch.fx.GraphModule, other: torch.fx.GraphModule) -> bool:
    if one.code != other.code:
        return False
    for name, value in one.named_buffers():
        if not torch.equal(value, other.get_buffer(name)):
            return False
    return True


def reason_of(error: BaseException) -> str:
    """Returns why a step cannot be traced, in one short line."""
    if isinstance(error, CannotTrace):
        return str(error)
    if type(error).__name__ in (
        "DataDependentOutputException",
        "GuardOnDataDependentSymNode",
    ):
        return "it asks for the value of a tensor in Python"
    line = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {line}"[:160]
