"""A step's state on TensorFlow: its variables themselves, found by tracing.

TensorFlow's graphs read and assign variables, so nothing has to be carried.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import tensorflow as tf

from ownloop.backends.branches import check_alike
from ownloop.backends.contract import LeafSpec, Snapshot, StepFunction, Tensor
from ownloop.backends.scope import stored_value, stored_values
from ownloop.backends.tensorflow.small_graphs import SmallGraphs


@final
@dataclass(frozen=True)
class Found:
    """What tracing a step has shown.

    variables: all that it touches. stored: the identities of TensorFlow's own for
    these, and of those that it uses past Keras. every, final: the shapes and dtypes of
    its values. operations: the types of the operations in its graph.
    """

    variables: tuple[keras.Variable, ...]
    stored: frozenset[int]
    every: tuple[tf.TensorSpec, ...]
    final: tuple[tf.TensorSpec, ...]
    operations: frozenset[str]


def specs(batch: Sequence[LeafSpec]) -> list[tf.TensorSpec]:
    """Returns the batch's shapes in TensorFlow's words."""
    return [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in batch]


def discover(step: StepFunction, batch: Sequence[LeafSpec]) -> Found:
    """Traces the step twice: once to create variables, once to see them used.

    The graphs are thrown away and never run, so no value changes. Two traces, because
    variables cannot be created inside a `StatelessScope` on TensorFlow, and only
    there does Keras tell of each use.
    """

    # Without AutoGraph: it would rewrite the user's exceptions.
    def trace(*leaves: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        values = step(leaves)
        return list(values.every), list(values.final)

    tf.function(trace, autograph=False).get_concrete_function(*specs(batch))
    with _Watching() as watching:
        concrete = tf.function(trace, autograph=False).get_concrete_function(
            *specs(batch)
        )
    every, final = concrete.structured_outputs
    variables = tuple(watching.seen.values())
    stored = (*concrete.variables, *stored_values(variables))
    return Found(
        variables,
        frozenset(map(id, stored)),
        tuple(tf.TensorSpec(t.shape, t.dtype) for t in every),
        tuple(tf.TensorSpec(t.shape, t.dtype) for t in final),
        _operations(concrete),
    )


@final
class _Watching(keras.StatelessScope):
    """Notes each variable that is used, and lets the graph use the real one."""

    def __init__(self) -> None:
        super().__init__(initialize_variables=False)
        self.seen: dict[int, keras.Variable] = {}

    def get_current_value(self, variable: keras.Variable) -> Any:
        self.seen[id(variable)] = variable
        return stored_value(variable)

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        self.seen[id(update[0])] = update[0]


def read(variables: Sequence[keras.Variable], *, again: bool) -> Snapshot:
    """Keeps the values of variables.

    What was read shares its memory with the variable until that is changed, and is then
    left to the reader.

    Args:
        variables: Whose values.
        again: Whether the same were read before, and so may be often: then by a graph.
    """
    if again and variables:
        return Snapshot(tuple(_values.over(variables)()))
    return Snapshot(tuple(map(_value_of, stored_values(variables))))


def _value_of(stored: Any) -> Tensor:
    """Returns a value as a tensor, which shares its memory until a change.

    By the operation itself: around it, TensorFlow and Keras do twice as much.
    """
    if isinstance(stored, tf.Variable):
        return tf.raw_ops.ReadVariableOp(resource=stored.handle, dtype=stored.dtype)
    return tf.convert_to_tensor(stored)


_values = SmallGraphs(lambda stored: [_value_of(value) for value in stored])


def _operations(concrete: Any) -> frozenset[str]:
    graph = concrete.graph.as_graph_def()
    nodes = [node.op for node in graph.node]
    for function in graph.library.function:
        nodes.extend(node.op for node in function.node_def)
    return frozenset(nodes)


def cond(pred: Tensor, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """Runs one of two branches; in a graph, assignments belong to their branch."""
    if tf.executing_eagerly() or isinstance(pred, bool):
        return then() if bool(pred) else otherwise()
    structures: list[Any] = []

    def flat(branch: Callable[[], Any]) -> Callable[[], list[Tensor]]:
        def run() -> list[Tensor]:
            result = branch()
            structures.append(result)
            # A branch of a graph must return something.
            return [tf.constant(0), *map(_as_tensor, keras.tree.flatten(result))]

        return run

    branches = [flat(then), flat(otherwise)]
    try:
        _, *leaves = tf.cond(tf.cast(pred, tf.bool), *branches)
    except (AssertionError, TypeError, ValueError):
        if len(structures) == 2:
            check_alike(*structures)
        raise
    check_alike(*structures[:2])
    result = structures[0]
    values = [
        None if was is None else now
        for was, now in zip(keras.tree.flatten(result), leaves, strict=True)
    ]
    return keras.tree.pack_sequence_as(result, values)


def _as_tensor(leaf: Any) -> Tensor:
    return tf.constant(0) if leaf is None else tf.convert_to_tensor(leaf)
