"""What a step returns is what is logged: names and kinds, read from its result."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop.errors import StepError
from ownloop.shown import shown


class Kind(enum.Enum):
    """How a logged value is kept, and what its mean over a pass is."""

    SCALAR = "scalar"
    """Kept for every step; its mean is weighted by the examples in each batch."""
    METRIC = "metric"
    """A metric's running value, kept for every step; the last one is the mean."""
    ARRAY = "array"
    """A metric whose result is an array: kept once per pass."""
    SHOWN = "shown"
    """Wrapped in `last`: the last step's value, seen in `chunk.last` only."""


@final
@dataclass(frozen=True)
class Logged:
    """One name that a step logs."""

    name: str
    kind: Kind


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """An array that is shown and not kept; made by `last`."""

    value: Any


def last(value: Any) -> Shown:
    """Marks an array so that its last value in a chunk can be looked at.

    A step may return scalars and metrics, which are kept for every step. Anything
    larger (images, an attention map) would fill the memory: marked with `last`, only
    the chunk's last one comes back, in `chunk.last`.

    Args:
        value: A tensor of any shape and dtype.

    Example:
        >>> import ownloop as ol
        >>> ol.last([1, 2, 3]).value
        [1, 2, 3]
    """
    return Shown(value)


def read(result: Any) -> tuple[tuple[Logged, ...], list[Any], list[Any]]:
    """Returns the names, the scalars of every step, and the arrays of the last one.

    Raises:
        StepError: The step returned nothing, a name that is no string, or a value
            that is neither a scalar, nor a metric, nor marked with `last`.
    """
    logged: list[Logged] = []
    every: list[Any] = []
    final_values: list[Any] = []
    for name, value in entries(result):
        kind, tensor = _classify(name, value)
        logged.append(Logged(name, kind))
        kept = every if kind in (Kind.SCALAR, Kind.METRIC) else final_values
        kept.append(tensor)
    return tuple(logged), every, final_values


def metrics(result: Any) -> Iterator[keras.Metric]:
    """Yields the metric objects in what a step returned."""
    if isinstance(result, keras.Metric):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from metrics(value)


def entries(result: Any) -> Iterator[tuple[str, Any]]:
    """Yields the names and values in what a step returned, as it gave them.

    Raises:
        StepError: The step returned nothing, or a name that is no string.
    """
    if result is None:
        raise StepError(
            "The step returned None. A step returns what is to be logged: a scalar "
            "loss, or a dictionary of names and scalars or metrics. End it with, for "
            'example, `return {"loss": loss}`.'
        )
    if isinstance(result, tuple | list):
        raise StepError(
            f"The step returned a {type(result).__name__} of {len(result)}. A step "
            "returns a scalar, a Keras metric, or a dictionary of such by name. Give "
            'the values names: `return {"loss": loss, "accuracy": accuracy}`.'
        )
    if not isinstance(result, Mapping):
        name = result.name if isinstance(result, keras.Metric) else "loss"
        yield name, result
        return
    if not result:
        raise StepError(
            "The step returned an empty dictionary. A step returns at least one value "
            'to be logged. End it with, for example, `return {"loss": loss}`.'
        )
    for name, value in result.items():
        if not isinstance(name, str):
            raise StepError(
                f"The step returned a dictionary with the key {shown(name)}. Keys are "
                "the names in the history and must be strings. Use a string."
            )
        if isinstance(value, Mapping):
            for inner, leaf in entries(value):
                yield f"{name}/{inner}", leaf
        else:
            yield name, value


def _classify(name: str, value: Any) -> tuple[Kind, Any]:
    if isinstance(value, Shown):
        return Kind.SHOWN, _tensor(name, value.value)
    if isinstance(value, keras.Metric):
        result = value.result()
        if isinstance(result, Mapping):
            raise StepError(
                f"The metric logged as {name!r} has a result with several entries, "
                f"{sorted(result)}. A logged metric has one value. Log the metrics "
                "that it consists of under names of their own."
            )
        tensor = keras.ops.convert_to_tensor(result)
        return (Kind.ARRAY if tuple(tensor.shape) else Kind.METRIC), tensor
    tensor = _tensor(name, value)
    if tuple(tensor.shape) == ():
        return Kind.SCALAR, tensor
    raise StepError(
        f"The step returned {name!r} with shape {tuple(tensor.shape)}. A logged value "
        "is a scalar or a Keras metric. Reduce it, for example with "
        f"`keras.ops.mean`, or write `ownloop.last(...)` around it to see its last "
        "value in `chunk.last`."
    )


def _tensor(name: str, value: Any) -> Any:
    cause = None
    if isinstance(value, keras.Variable):
        # A copy: the next step may work on the variable's own memory.
        value = keras.ops.copy(value.value)
    if not isinstance(value, str | bytes):
        try:
            tensor = keras.ops.convert_to_tensor(value)
            if "string" not in str(tensor.dtype):
                return tensor
        except (TypeError, ValueError, RuntimeError) as error:
            cause = error
    raise StepError(
        f"The step returned {name!r} of type {type(value).__name__}, which is no "
        "number. A logged value is a scalar or a Keras metric. Return tensors or "
        "Python numbers."
    ) from cause
