"""One leaf of a batch as a NumPy array, and the words for where it stands.

Knows what kinds of arrays can be trained on. Knows frameworks by what their tensors
can do, never by name: this room imports none.
"""

import numbers
from typing import Any, Protocol, runtime_checkable

import numpy as np
import optree

from ownloop.errors import DataError

_NUMERIC_KINDS = "biuf"


@runtime_checkable
class _Detachable(Protocol):
    """A tensor that may carry a gradient or live on a device, as PyTorch's do."""

    def detach(self) -> Any: ...

    def cpu(self) -> Any: ...


@runtime_checkable
class _ConvertsItself(Protocol):
    """A tensor that knows its own NumPy array but is no array-like."""

    def numpy(self) -> Any: ...


@runtime_checkable
class _ArrayLike(Protocol):
    """What NumPy itself accepts as an array."""

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray: ...


def flatten(tree: Any) -> tuple[list[str], list[Any], optree.PyTreeSpec]:
    """Returns the names of a structure's leaves, the leaves, and the rest of it.

    A list of numbers, nested or not, is one leaf; any other tuple, list, named tuple
    or dict is structure, and so is `None`.

    Example:
        >>> names, leaves, _ = flatten({"image": 1, "label": [2, 3]})
        >>> names, leaves
        (["['image']", "['label']"], [1, [2, 3]])
    """
    accessors, leaves, structure = optree.tree_flatten_with_accessor(
        tree, is_leaf=_is_list_of_numbers
    )
    return [accessor.codify("") for accessor in accessors], leaves, structure


def as_array(leaf: Any, name: str) -> np.ndarray:
    """Returns a leaf as a NumPy array of numbers, without a copy where possible.

    Args:
        leaf: An array of any library, a number, or a list of numbers.
        name: Where the leaf stands, such as `"[1]"`; for the messages.

    Raises:
        DataError: The leaf is ragged, has masked values, is of a kind that NumPy does
            not know, or is not made of real numbers or booleans.

    Example:
        >>> as_array([1.0, 2.0], "[0]")
        array([1., 2.])
    """
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        raise DataError(
            f"{place(name)} is masked: it hides {np.count_nonzero(leaf.mask):,} of its "
            f"{leaf.size:,} values. Expected a value in each place. Fill the others "
            "in, such as by array.filled(0), and pass np.ma.getmaskarray(array) as an "
            "array of its own where the step has to know."
        )
    try:
        array = _read(leaf)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{place(name)} cannot be read as a NumPy array: it is of type "
            f"{type(leaf).__name__}, and reading it fails with: "
            f"{str(error).rstrip('.')}. {_way_to_read(leaf)}"
        ) from error
    check_numeric(array, name)
    return array


def is_array(data: Any) -> bool:
    """Whether something is an array, a tensor or a variable, of whatever library.

    Example:
        >>> is_array(np.zeros(2)), is_array([0, 0]), is_array(np.float64(0))
        (True, False, False)
    """
    if isinstance(data, np.generic):
        return False
    return isinstance(data, _ArrayLike | _Detachable | _ConvertsItself)


def check_numeric(array: np.ndarray, name: str) -> None:
    """Refuses an array that is not made of real numbers or booleans.

    Raises:
        DataError: The dtype is object, string, bytes, date, complex or a record.

    Example:
        >>> check_numeric(np.zeros(3), "[0]")
    """
    dtype = array.dtype
    # bfloat16 and its like have kind "V" (as records do) but a type of their own.
    extended = dtype.kind == "V" and not issubclass(dtype.type, np.void)
    if dtype.kind in _NUMERIC_KINDS or extended:
        return
    raise DataError(
        f"{place(name)} has dtype {dtype}, which cannot be trained on. Expected "
        "numbers: boolean, integer or floating point. "
        f"{_remedy(dtype)}"
    )


def standard(array: np.ndarray, float_type: str) -> np.ndarray:
    """Returns an array as a device wants it: native byte order, no wider than floatx.

    Args:
        array: Any array that passed `check_numeric`.
        float_type: What 64-bit (and longer) floats become, such as `"float32"`.

    Returns:
        The same object where nothing has to change, else a copy.

    Example:
        >>> standard(np.zeros(2), "float32").dtype
        dtype('float32')
    """
    dtype = array.dtype
    if dtype.kind == "f" and dtype.itemsize >= 8:
        return array.astype(np.dtype(float_type), copy=False)
    if not dtype.isnative:
        return array.astype(dtype.newbyteorder("="))
    return array


def place(name: str) -> str:
    """Returns a leaf's place in words, for the beginning of a message.

    Example:
        >>> place("[1]"), place("")
        ('The array at [1]', 'The array')
    """
    return f"The array at {name}" if name else "The array"


def _read(leaf: Any) -> np.ndarray:
    if isinstance(leaf, _Detachable):
        leaf = leaf.detach().cpu()
    if not isinstance(leaf, _ArrayLike) and isinstance(leaf, _ConvertsItself):
        leaf = leaf.numpy()
    # Subclasses change what [] means. A plain view of a memory map stays in the file.
    return np.asarray(leaf)


def _way_to_read(leaf: Any) -> str:
    if isinstance(leaf, list):
        return (
            "Expected an array whose rows have equal shapes. Pad or cut the rows to "
            "one length."
        )
    return (
        "Expected an array that NumPy can make its own. Convert it first, such as to "
        "float32, or to a dense tensor."
    )


def _is_list_of_numbers(node: Any) -> bool:
    if not isinstance(node, list) or not node:
        return False
    return all(
        isinstance(item, numbers.Number | np.generic) or _is_list_of_numbers(item)
        for item in node
    )


def _remedy(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "OSU":
        return (
            "Turn text into integers first (keras.layers.StringLookup), and stack "
            "arrays of equal shape with np.stack."
        )
    if dtype.kind in "mM":
        return "Turn dates into numbers first, such as seconds since a fixed day."
    if dtype.kind == "c":
        return "Split complex numbers into real and imaginary parts first."
    return "Pass the fields of a record as separate arrays, in a dict."
