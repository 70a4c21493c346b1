"""What came out of a case, in a form that travels as JSON, and how two are compared.

An outcome is `{"value": tree}` or `{"error": [...], "message": ...}`. In a tree, lists,
tuples, dicts, None, strings and numbers stand for themselves (tuples and tensors are
marked), so that the kind of each container is compared too.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

Outcome = dict[str, Any]

# Half precision is rounded after each operation, and compilers leave some roundings
# out; the bound is about four units in the last place.
_COARSE = {"float16": 4e-3, "bfloat16": 3e-2}


def of_value(value: Any) -> Outcome:
    """Returns the outcome of a case that returned this."""
    return {"value": take_apart(value, _written)}


def of_error(error: BaseException) -> Outcome:
    """Returns the outcome of a case that raised this."""
    names = [c.__name__ for c in type(error).__mro__ if c is not object]
    return {"error": names, "message": f"{error}"}


def take_apart(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Writes a structure as JSON, with what `leaf` makes of each tensor."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [take_apart(item, leaf) for item in value]}
    if isinstance(value, list):
        return [take_apart(item, leaf) for item in value]
    if isinstance(value, dict):
        return {"dict": {k: take_apart(v, leaf) for k, v in sorted(value.items())}}
    return {"tensor": leaf(value)}


def fill_in(tree: Any, leaf: Callable[[Any], Any]) -> Any:
    """Exchanges what stands for each tensor in a tree."""
    if isinstance(tree, list):
        return [fill_in(item, leaf) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, inner),) = tree.items()
    if kind == "tensor":
        return {"tensor": leaf(inner)}
    if kind == "tuple":
        return {"tuple": [fill_in(item, leaf) for item in inner]}
    return {"dict": {key: fill_in(item, leaf) for key, item in inner.items()}}


def differences(
    ours: Outcome, native: Outcome, *, rtol: float, atol: float
) -> list[str]:
    """Says in words where two outcomes that are no errors disagree."""
    return list(_compare("result", ours["value"], native["value"], rtol, atol))


def dtype_of(tensor: Any) -> str:
    """Returns Keras' name of a tensor's dtype."""
    return str(keras.backend.standardize_dtype(tensor.dtype))


def write_array(array: Any, dtype: str) -> dict[str, Any]:
    """Writes the values of a tensor."""
    array = np.asarray(array)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    return {
        "dtype": dtype,
        "shape": list(array.shape),
        "values": array.astype("float64").ravel().tolist(),
    }


def _written(tensor: Any) -> dict[str, Any]:
    if hasattr(tensor, "dense_shape"):  # TensorFlow's IndexedSlices
        tensor = keras.ops.convert_to_tensor(tensor)
    if not hasattr(tensor, "dtype"):
        raise TypeError(f"A case returned {tensor!r}, which is no tensor.")
    dtype = dtype_of(tensor)
    value = keras.ops.stop_gradient(tensor)
    if dtype in _COARSE:
        value = keras.ops.cast(value, "float32")
    return write_array(keras.ops.convert_to_numpy(value), dtype)


def _compare(
    path: str, ours: Any, native: Any, rtol: float, atol: float
) -> Iterator[str]:
    if isinstance(ours, float) and isinstance(native, float | int):
        if not math.isclose(ours, native, rel_tol=rtol, abs_tol=atol):
            yield f"{path}: ours is {ours}, TensorFlow's is {native}"
    elif isinstance(ours, list) and isinstance(native, list):
        if len(ours) != len(native):
            yield f"{path}: {_short(ours)} has not the length of {_short(native)}"
            return
        for i, (one, other) in enumerate(zip(ours, native, strict=True)):
            yield from _compare(f"{path}[{i}]", one, other, rtol, atol)
    elif isinstance(ours, dict) and isinstance(native, dict):
        yield from _compare_nodes(path, ours, native, rtol, atol)
    elif type(ours) is not type(native) or ours != native:
        yield f"{path}: ours is {_short(ours)}, TensorFlow's is {_short(native)}"


def _compare_nodes(
    path: str, ours: dict[str, Any], native: dict[str, Any], rtol: float, atol: float
) -> Iterator[str]:
    """Compares two entries that are marked as a tuple, a dict or a tensor."""
    ((kind, one),) = ours.items()
    ((other_kind, other),) = native.items()
    if kind != other_kind or (kind == "dict" and one.keys() != other.keys()):
        yield f"{path}: ours is {_short(ours)}, TensorFlow's is {_short(native)}"
    elif kind == "tensor":
        yield from _compare_tensors(path, one, other, rtol, atol)
    elif kind == "tuple":
        yield from _compare(path, one, other, rtol, atol)
    else:
        for key in one:
            yield from _compare(f"{path}[{key!r}]", one[key], other[key], rtol, atol)


def _compare_tensors(
    path: str, ours: dict[str, Any], native: dict[str, Any], rtol: float, atol: float
) -> Iterator[str]:
    for name in ("dtype", "shape"):
        if ours[name] != native[name]:
            yield f"{path}: {name} {ours[name]}, TensorFlow's is {native[name]}"
            return
    rtol = max(rtol, _COARSE.get(ours["dtype"], 0.0))
    one, other = np.array(ours["values"]), np.array(native["values"])
    if not np.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True):
        yield f"{path}: {_short(one.tolist())}, TensorFlow's {_short(other.tolist())}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}..."
