"""From a user's step to one graph of PyTorch operations, gradients included.

The step runs on fake tensors, and what it does to them is recorded. Python cannot be
recorded. Where the step asks a tensor for a Python value, that is one of the cases
below, or an error: then nothing is baked in, and the step is run eagerly.

* The seed of a generator: the draw becomes an operation that takes the seed's tensor.
* A number to scale by (`alpha=`): becomes a multiplication.
* The truth of a tensor: both ways are recorded, and selected from.

For `.item()` and `.tolist()` PyTorch gives symbols, which are right in arithmetic but
which a step can neither return nor keep: an error too, as `float(tensor)` is one.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import _getframe
from types import FrameType
from typing import Any, final

import keras
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from ownloop.backends.contract import LeafSpec, StepFunction, StepValues, Tensor
from ownloop.backends.torch import graphs, random
from ownloop.backends.torch.culprit import culprit
from ownloop.backends.torch.graphs import CannotTrace, PastKeras
from ownloop.backends.torch.rehearsal import made_up
from ownloop.backends.torch.state import Leaves, as_leaf
from ownloop.backends.torch.unseeded import SharedDraws

_VALUES = (
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.numpy,
    torch.Tensor.__array__,
    torch.Tensor.__float__,
    torch.Tensor.__complex__,
    torch.Tensor.__index__,
)
"""What hands a tensor's values to Python."""

_PYTHON_VALUE = "it asks for the value of a tensor in Python"

_MOST_PATHS = 8
"""A step with more ways through its `if`s than this is not compiled."""

_TOKENS = (-1_000_000, -2_000_000)
"""Where integers that stand for unknown seeds begin, in a first and a second trace.

Negative, so that a loop over such a range ends at once.
"""


class _Fork(BaseException):
    """The step goes two ways, which a first trace does not expect."""


@final
@dataclass(frozen=True)
class Graph:
    """A traced step: (state..., leaves...) -> (every..., final...), state in place."""

    module: torch.fx.GraphModule
    every: int
    examples: tuple[Tensor, ...]


@final
@dataclass
class _Notes:
    """What was seen in one trace.

    seeds: what each token stands for. places: where each was asked for, in words.
    """

    next_token: int
    forking: bool
    every: int = 0
    paths: int = 0
    branched: bool = False
    seeds: dict[int, Tensor] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    drawn: set[int] = field(default_factory=set)

    @property
    def has_other_integers(self) -> bool:
        """Whether an integer of a tensor has not gone into a draw."""
        return self.seeds.keys() != self.drawn

    def refusal(self) -> CannotTrace:
        """Returns the error for such an integer, with the place of the first one."""
        other = next(token for token in self.seeds if token not in self.drawn)
        return CannotTrace(f"it makes a Python integer of a tensor{self.places[other]}")


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
    try:
        notes = _Notes(_TOKENS[0], forking=False)
        graph = _trace_once(step, variables, batch, notes)
    except _Fork:
        notes = _Notes(_TOKENS[0], forking=True)
        graph = _trace_once(step, variables, batch, notes)
    if notes.has_other_integers:
        raise notes.refusal()
    if notes.seeds:
        # The integers that stood for seeds must have gone into draws and nowhere
        # else: with other integers, the same graph must come out.
        again = _Notes(_TOKENS[1], forking=notes.forking)
        other = _trace_once(step, variables, batch, again)
        if not graphs.equal(graph.module, other.module):
            raise CannotTrace("it computes with the Python integer of a tensor")
    _check_memory(graph, variables)
    if notes.forking or notes.branched:
        module = graphs.share_common_work(graph.module, graph.examples)
        graph = Graph(module, graph.every, graph.examples)
    return graph


def _check_memory(graph: Graph, variables: Sequence[keras.Variable]) -> None:
    """Refuses a step with state that is not, or not only, a variable's."""
    if graphs.changes_constants(graph.module):
        raise CannotTrace("it changes a tensor that is no variable")
    known = {variable.value.data_ptr() for variable in variables}
    for _, tensor in graphs.constants(graph.module):
        if tensor.numel() and tensor.data_ptr() in known:
            raise PastKeras("it uses the tensor of a variable past Keras")


def _trace_once(
    step: StepFunction,
    variables: Sequence[keras.Variable],
    batch: Sequence[LeafSpec],
    notes: _Notes,
) -> Graph:
    generators = random.read()
    examples = (
        *(variable.value.detach() for variable in variables),
        *(made_up(leaf) for leaf in batch),
    )
    function = _Function(step, tuple(variables), notes)
    try:
        with torch.no_grad(), torch.autograd.set_multithreading_enabled(False):
            module = make_fx(
                function, tracing_mode="fake", _allow_non_fake_inputs=True
            )(*examples)
    except Exception as error:
        if notes.has_other_integers:
            # What the integer stands for may be at fault, and not the step.
            raise notes.refusal() from error
        raise
    finally:
        random.write(generators)
    return Graph(module, notes.every, examples)


@final
class _Function:
    """The step as a function of tensors; it changes its first arguments in place."""

    def __init__(
        self,
        step: StepFunction,
        variables: tuple[keras.Variable, ...],
        notes: _Notes,
    ) -> None:
        self._step = step
        self._variables = variables
        self._notes = notes
        self._draws = SharedDraws()

    def __call__(self, *tensors: Tensor) -> list[Tensor]:
        count = len(self._variables)
        state = [
            as_leaf(tensor, variable.trainable)
            for tensor, variable in zip(tensors, self._variables, strict=False)
        ]
        scope = Leaves(self._variables, state)
        leaves = list(tensors[count:])
        if self._notes.forking:
            values, new = self._ways(scope, leaves, ())
            for old, value in zip(state, new, strict=True):
                old.copy_(value)
        else:
            values, _ = self._one_way(scope, leaves, ())
        self._notes.every = len(values.every)
        self._notes.branched = scope.branched
        # Copies: a result must not share memory with the state, which goes on.
        return [value.detach().clone() for value in (*values.every, *values.final)]

    def _one_way(
        self, scope: Leaves, leaves: list[Tensor], answers: tuple[bool, ...]
    ) -> tuple[StepValues, list[Tensor]]:
        self._notes.paths += 1
        if self._notes.paths > _MOST_PATHS:
            raise CannotTrace(f"its `if`s give more than {_MOST_PATHS} ways through it")
        self._draws.begin_way()
        mode = _Tracing(self._notes, answers, self._draws)
        with scope, mode, self._draws:
            values = self._step(leaves)
        return values, mode.questions

    def _ways(
        self, scope: Leaves, leaves: list[Tensor], answers: tuple[bool, ...]
    ) -> tuple[StepValues, list[Tensor]]:
        """Runs all ways that begin so; returns what the right one gives."""
        fork = scope.fork()
        values, questions = self._one_way(fork, leaves, answers)
        result = (values, fork.values())
        for place in reversed(range(len(answers), len(questions))):
            # Where this one was answered with False, all later ones were, too.
            given = (*answers, *[False] * (place - len(answers)), True)
            result = _where(questions[place], self._ways(scope, leaves, given), result)
        return result


_Result = tuple[StepValues, list[Tensor]]


def _where(question: Tensor, one: _Result, other: _Result) -> _Result:
    """Returns the one result where the question is true, else the other."""

    def choose(a: Sequence[Tensor], b: Sequence[Tensor]) -> tuple[Tensor, ...]:
        alike = len(a) == len(b) and all(
            x.shape == y.shape and x.dtype == y.dtype for x, y in zip(a, b, strict=True)
        )
        if not alike:
            raise CannotTrace("what it returns depends on an `if`")
        return tuple(torch.where(question, x, y) for x, y in zip(a, b, strict=True))

    values = StepValues(
        choose(one[0].every, other[0].every), choose(one[0].final, other[0].final)
    )
    return values, list(choose(one[1], other[1]))


@final
class _Tracing(TorchFunctionMode):
    """Stands in where a step asks a tensor for a Python value.

    answers: what the first questions "is this tensor true?" are answered with; all
    later ones with False. questions: the tensors that were asked for.
    """

    def __init__(
        self, notes: _Notes, answers: tuple[bool, ...], draws: SharedDraws
    ) -> None:
        super().__init__()
        self._notes = notes
        self._answers = answers
        self._draws = draws
        self.questions: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func == torch.Tensor.__int__:
            return self._token(args[0])
        if func == torch.Tensor.__bool__:
            return self._answer(args[0])
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Generator):
                return self._draw(func, args, kwargs)
        if isinstance(kwargs.get("alpha"), torch.Tensor):
            return _scaled(func, args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            if func in _VALUES or asks_for_value(error):
                # Now, or an `except` of the user's would go another way than it does.
                raise CannotTrace(reason_of(error)) from error
            raise
        if func in _VALUES and _is_unknown(result) and not _is_keras(_getframe(1)):
            raise CannotTrace(_PYTHON_VALUE)
        return result

    def _token(self, seed: Tensor) -> int:
        self._notes.next_token -= 1
        # The form in which Keras, and a generator, know it.
        token = self._notes.next_token & 0xFFFFFFFF
        self._notes.seeds[token] = seed.clone()
        places = traceback.walk_stack(_getframe(1))
        self._notes.places[token] = culprit(places, _Function._one_way.__code__)
        return self._notes.next_token

    def _answer(self, question: Tensor) -> bool:
        try:
            return bool(question)
        except Exception as error:
            if not asks_for_value(error):
                raise
        if not self._notes.forking:
            raise _Fork
        self._draws.parted = True
        place = len(self.questions)
        # A copy: the step may go on to change it.
        self.questions.append(question.to(torch.bool, copy=True).reshape(()))
        return self._answers[place] if place < len(self._answers) else False

    def _draw(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
        generator = kwargs.pop("generator", None)
        token = None if generator is None else generator.initial_seed()
        if token not in self._notes.seeds or func not in random.DRAWS:
            name = getattr(func, "__name__", str(func))
            raise CannotTrace(f"it calls `{name}` with a generator of its own")
        self._notes.drawn.add(token)
        return random.DRAWS[func](self._notes.seeds[token], *args, **kwargs)


def _scaled(func: Any, args: Any, *, alpha: Tensor, **kwargs: Any) -> Any:
    """Calls `func(a, b, alpha=tensor)` as `func(a, b * tensor)`."""
    if kwargs or len(args) != 2:
        raise CannotTrace(f"it calls `{func.__name__}` with a tensor as a number")
    first, second = args
    if isinstance(second, list | tuple):
        return func(first, torch._foreach_mul(second, alpha.to(second[0].dtype)))
    return func(first, second * alpha)


def _is_unknown(value: Any) -> bool:
    """Whether this is, or holds, a number that is known only when the graph runs."""
    if isinstance(value, list):
        return any(map(_is_unknown, value))
    return isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool)


def _is_keras(caller: FrameType | None) -> bool:
    """Whether Keras has asked, as `keras.ops.split` does for the sizes of its pieces.

    It computes with such numbers, where they are right, and keeps none.
    """
    while caller is not None:
        module = str(caller.f_globals.get("__name__", ""))
        if not module.startswith("torch."):
            return module.startswith("keras.")
        caller = caller.f_back
    return False


def asks_for_value(error: BaseException) -> bool:
    """Whether PyTorch says that a fake tensor has no value to give."""
    return type(error).__name__ in (
        "DataDependentOutputException",
        "GuardOnDataDependentSymNode",
    )


def place_of(error: BaseException) -> str:
    """Returns the user's line that an error came by, in words; empty without one."""
    places = list(traceback.walk_tb(error.__traceback__))
    return culprit(reversed(places), _Function._one_way.__code__)


def reason_of(error: BaseException) -> str:
    """Returns why a step cannot be traced, in one short line."""
    if isinstance(error, CannotTrace):
        return str(error)
    if asks_for_value(error):
        return _PYTHON_VALUE
    if ".numpy() is not supported for tensor subclasses" in str(error):
        return (
            "it hands a tensor to NumPy, as `tensor - array` does (make the array a "
            "tensor, with `keras.ops.convert_to_tensor`)"
        )
    line = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {line}"[:160]
