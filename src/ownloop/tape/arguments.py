"""What a tape is given: flat tensors, weights for targets, and what is refused."""

import math
from typing import Any, Literal

import keras

from ownloop.backends.contract import Tensor
from ownloop.errors import TapeError, TapeTypeError, TapeValueError
from ownloop.shown import shown

Unconnected = Literal["none", "zero"]
"""What stands for a source that the target does not depend on."""


def is_tensor(value: Any) -> bool:
    """Whether a value can be on a tape: a tensor of the backend, or a variable."""
    return isinstance(value, keras.Variable) or bool(keras.ops.is_tensor(value))


def is_differentiable(value: Tensor) -> bool:
    """Whether a tensor's dtype has gradients."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    return "float" in dtype or "complex" in dtype


def tensors(structure: Any, role: str) -> list[Tensor]:
    """Returns the tensors of a structure, all of them checked."""
    flat: list[Tensor] = keras.tree.flatten(structure)
    for value in flat:
        check_tensor(value, role)
    return flat


def check_tensor(value: Any, role: str) -> None:
    """Refuses a target or source that is no tensor.

    Raises:
        TapeTypeError: It is a Python number, a NumPy array, None or the like.

    Example:
        >>> import keras
        >>> check_tensor(keras.ops.ones(3), "target")
    """
    if role == "source" and isinstance(value, keras.Layer):
        raise TapeTypeError(
            f"The {role} is {shown(value)}, a whole {type(value).__name__}. It must be "
            "a tensor or a keras.Variable, or a list of these. Pass its variables: "
            "`model.trainable_variables`."
        )
    if not is_tensor(value):
        raise TapeTypeError(
            f"The {role} is {shown(value)}, of type {type(value).__name__}. It must "
            "be a tensor of the backend or a keras.Variable, of which the tape knows "
            "what the block did with it. Make a tensor of it with "
            "`keras.ops.convert_to_tensor` before the block uses it."
        )


def check_watched(value: Any) -> None:
    """Refuses what cannot be watched.

    Raises:
        TapeValueError: It is neither tensor nor variable.
    """
    if not is_tensor(value):
        raise TapeValueError(
            f"`watch` was given {shown(value)}, of type {type(value).__name__}. It "
            "takes tensors of the backend and keras.Variables. Make one with "
            "`keras.ops.convert_to_tensor`, and use that one in the block."
        )


def check_unconnected(word: Any) -> None:
    """Refuses a word that TensorFlow's tape does not know either.

    Raises:
        TapeValueError: It is neither 'none' nor 'zero'.
    """
    if word not in ("none", "zero"):
        raise TapeValueError(
            f"`unconnected_gradients` is {shown(word)}. It must be 'none' or 'zero'. "
            "Pass one of these."
        )


def check_batches(target: Tensor, source: Tensor) -> None:
    """Refuses shapes of which no Jacobian per example can be formed.

    Raises:
        TapeValueError: Fewer than two axes, or different numbers of examples.
    """
    shapes = tuple(target.shape), tuple(source.shape)
    if min(map(len, shapes)) < 2 or shapes[0][0] != shapes[1][0]:
        raise TapeValueError(
            f"`batch_jacobian` was given a target of shape {shapes[0]} and a source of "
            f"shape {shapes[1]}. Both must have two or more axes, of which the first "
            "counts the same examples. Add an axis, or use `jacobian`."
        )


def seeds(output_gradients: Any, targets: list[Tensor]) -> list[Tensor | None]:
    """Returns a weight of the shape and dtype of each target; None stands for ones.

    Raises:
        TapeValueError: There are more or fewer than targets, or a shape does not fit.
    """
    if output_gradients is None:
        return [None] * len(targets)
    flat = keras.tree.flatten(output_gradients)
    if len(flat) != len(targets):
        raise TapeValueError(
            f"`output_gradients` has {len(flat)} entries, and the target has "
            f"{len(targets)}. There must be one for each, or None in its place. Pass "
            "them in the target's structure."
        )
    return [_seed(weight, target) for weight, target in zip(flat, targets, strict=True)]


def _seed(weight: Any, target: Tensor) -> Tensor | None:
    if weight is None:
        return None
    weight = keras.ops.convert_to_tensor(weight, dtype=target.dtype)
    shape = tuple(target.shape)
    if tuple(weight.shape) == shape:
        return weight
    if not _can_become(tuple(weight.shape), shape):
        raise TapeValueError(
            f"An output gradient has the shape {tuple(weight.shape)}, and its target "
            f"has the shape {shape}. It weighs the target's elements one by one. "
            "Give it the target's shape."
        )
    return keras.ops.broadcast_to(weight, shape)


def _can_become(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether an array of one shape can be repeated to another."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return len(shape) <= len(other) and all(a in (1, b) for a, b in pairs)


def seeds_of_elements(target: Tensor) -> Tensor:
    """Returns, for each element of a target, the seed that picks it out."""
    size = math.prod(target.shape)
    return keras.ops.reshape(
        keras.ops.eye(size, dtype=target.dtype), (size, *target.shape)
    )


def seeds_of_examples(target: Tensor) -> Tensor:
    """Returns, for each element of an example, the seed that picks it in all."""
    batch, *inner = target.shape
    size = math.prod(inner)
    one = keras.ops.reshape(keras.ops.eye(size, dtype=target.dtype), (size, 1, *inner))
    return keras.ops.broadcast_to(one, (size, batch, *inner))


def opened_twice() -> TapeError:
    """A tape's block was entered inside itself."""
    return TapeValueError(
        "This tape is recording already. A tape can be opened again only after its "
        "block has ended. Open a second tape for an inner block."
    )


def watched_in_vain() -> TapeError:
    """`watch` was called where nothing is recorded."""
    return TapeError(
        "`watch` was called on a tape that is not recording: it is not open, or it is "
        "stopped. What is watched must be watched while the tape records, and before "
        "it is used. Move the call to the beginning of the tape's block."
    )


def not_recording(method: str, *, ever: bool) -> TapeError:
    """A method was called that only a recording tape has."""
    kind = TapeValueError if ever else TapeError
    return kind(
        f"`{method}` was called on a tape that is not recording. It belongs inside the "
        "tape's block, once at a time. Move the call into the block."
    )


def nothing_recorded(*, persistent: bool) -> TapeError:
    """A gradient was asked for where there is nothing to take it from."""
    if persistent:
        return TapeError(
            "A gradient was asked of a tape whose block was never entered. The tape "
            "gives gradients of what ran inside its block. Open it with `with`."
        )
    return TapeError(
        "A gradient was asked of a tape that has nothing recorded: its block was never "
        "entered, or this is the second time. A tape gives gradients once, because it "
        "lets go of what it recorded. Ask for all sources in one call, or open "
        "`GradientTape(persistent=True)`."
    )


def not_persistent_for_rows() -> TapeError:
    """Rows were asked for one by one of a tape that gives gradients once."""
    return TapeError(
        "`experimental_use_pfor=False` computes the rows one after another, and this "
        "tape gives gradients once. Rows one by one need a tape that is kept. Open "
        "`GradientTape(persistent=True)`, or leave the option out."
    )


def not_differentiable(value: Tensor) -> str:
    """What is said of a tensor that is watched in vain."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    return (
        f"A watched tensor has the dtype {dtype}, which has no gradients: its gradient "
        "will be None. Watch floating-point tensors; cast it before the block uses it."
    )
