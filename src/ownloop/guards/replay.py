"""One step once more, eagerly: which value is the first that is not finite?

Runs the user's step on the batch and from the state that were kept, and puts back
whatever it changes. It finds what went wrong, and mends nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import keras
import numpy as np
import optree

from ownloop import backends
from ownloop.backends.contract import LeafSpec, Snapshot
from ownloop.guards.host import Flaws, host
from ownloop.guards.report import Finding, Report, Stage
from ownloop.guards.watching import watching
from ownloop.step import Kind, StepCall, Surroundings


def replay(
    step: Callable[..., Any],
    batch: Any,
    state: Sequence[tuple[keras.Variable, np.ndarray]],
    random: Sequence[np.ndarray] = (),
) -> Report:
    """Runs a step from a given state, and says which value was not finite first.

    The step runs as plain Python, so prints and breakpoints in it work. Afterwards
    the variables are as they were before.

    Args:
        step: A plain function of one batch, as for `Epoch.train`.
        batch: NumPy arrays in tuples, lists and dicts; None for a step without data.
        state: The variables that the step uses, with the values to start from;
            `Evidence.over` pairs them. Others keep the values that they have.
        random: The state of the framework's own generators, as in `Evidence`.

    Example:
        >>> weight = keras.Variable(0.0, name="weight")
        >>> def step(x):
        ...     return keras.ops.mean(x / weight)
        ...
        >>> print(replay(step, np.ones(2, "float32"), [(weight, np.array(0.0))]))
        First not finite: the logged 'loss' is inf.
    """
    given = [variable for variable, _ in state]
    reached = (*given, *Surroundings.of(step).variables())
    variables = list({id(variable): variable for variable in reached}.values())
    backend = backends.current()
    before = backend.read(variables)
    try:
        for variable, value in state:
            variable.assign(value)
        if random:
            backend.write((), Snapshot((), tuple(random)))
        return _run(step, batch, variables)
    finally:
        backend.write(variables, before)


def _run(
    step: Callable[..., Any], batch: Any, variables: Sequence[keras.Variable]
) -> Report:
    findings: list[Finding] = []

    def note(stage: Stage, name: str, value: Any, inputs: str = "") -> bool:
        flaws = _flaws(value)
        if flaws:
            findings.append(Finding(stage, name, flaws, inputs))
        return bool(flaws)

    def outputs(layer: keras.Layer, arguments: Any, output: Any) -> None:
        name = f"{layer.path or layer.name} ({type(layer).__name__})"
        for value in keras.tree.flatten(output):
            if note(Stage.OUTPUT, name, value, _words(arguments)):
                return

    def gradients(sources: Sequence[Any], found: Sequence[Any]) -> None:
        for i, (source, gradient) in enumerate(zip(sources, found, strict=True)):
            is_variable = isinstance(source, keras.Variable)
            note(
                Stage.GRADIENT, source.path if is_variable else f"source {i}", gradient
            )

    names, leaves, structure = _taken_apart(batch)
    for name, leaf in zip(names, leaves, strict=True):
        note(Stage.BATCH, name, leaf)
    for variable in variables:
        note(Stage.STATE, variable.path, variable)
    call = StepCall(lambda: step, structure)
    specs = [LeafSpec(leaf.shape, leaf.dtype.name) for leaf in leaves]
    program = backends.current().compile(call, specs, eager=True)
    with watching(outputs, gradients):
        values = program.run([_OneBatch(leaves)], None)
    logged = [e.name for e in call.logged if e.kind in (Kind.SCALAR, Kind.METRIC)]
    for name, column in zip(logged, values.every, strict=True):
        note(Stage.LOGGED, name, column)
    for variable in variables:
        note(Stage.VARIABLE, variable.path, variable)
    # A step returns its loss after the gradients were taken, which begin with it.
    findings.sort(key=lambda finding: finding.stage)
    # A layer may be called twice, and gradients pass from the tape to the optimizer.
    first = {(finding.stage, finding.name): finding for finding in reversed(findings)}
    return Report(tuple(reversed(first.values())))


@final
class _OneBatch:
    """A segment of one batch."""

    count = 1
    rows = None

    def __init__(self, leaves: Sequence[np.ndarray]) -> None:
        self.leaves = [leaf[np.newaxis] for leaf in leaves]


def _taken_apart(
    batch: Any,
) -> tuple[list[str], list[np.ndarray], optree.PyTreeSpec | None]:
    """Returns the names of a batch's arrays, the arrays, and how they make it up."""
    if batch is None:
        return [], [], None
    accessors, leaves, structure = optree.tree_flatten_with_accessor(batch)
    names = [accessor.codify("") for accessor in accessors]
    return names, [np.asarray(leaf) for leaf in leaves], structure


def _flaws(value: Any) -> Flaws | None:
    """Counts in a tensor; None where it has no values, being a part of a trace."""
    try:
        return Flaws.of(host(value))
    except (TypeError, ValueError, NotImplementedError, RuntimeError):
        # Each backend has its own words for "this is a stand-in".
        return None


def _words(arguments: Any) -> str:
    """Says how large the tensors are that a layer was called with."""
    arrays = []
    for value in keras.tree.flatten(arguments):
        if keras.ops.is_tensor(value) and _flaws(value) is not None:
            arrays.append(host(value))
    numbers = [a.astype("float64") for a in arrays if a.size]
    if not numbers:
        return ""
    if not all(np.isfinite(array).all() for array in numbers):
        return "from inputs that are not finite"
    return f"from inputs of size {max(np.abs(a).max() for a in numbers):.3g} at most"
