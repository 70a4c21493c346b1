"""Values of any backend as NumPy arrays, and how much of them is not finite."""

import warnings
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np


def host(value: Any) -> np.ndarray:
    """Returns a copy of a variable's or tensor's values, in its own dtype.

    Example:
        >>> host(keras.Variable([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    if isinstance(value, keras.Variable):
        value = value.value
    with warnings.catch_warnings():
        # Keras 3.15 hands tensors of PyTorch to NumPy in an old way.
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.array(keras.ops.convert_to_numpy(value))


@final
@dataclass(frozen=True)
class Flaws:
    """How many values of an array are NaN, how many infinite, and of how many.

    Example:
        >>> flaws = Flaws.of(np.array([1.0, np.nan, np.inf]))
        >>> print(flaws)
        1 nan and 1 inf among 3 values
        >>> bool(flaws), bool(Flaws.of(np.array([1, 2])))
        (True, False)
        >>> print(Flaws.of(np.array(-np.inf)))
        -inf
    """

    nan: int
    infinite: int
    size: int
    only: str = ""

    @staticmethod
    def of(array: np.ndarray, among: np.ndarray | None = None) -> "Flaws":
        """Counts; `among`, where given, is a mask of the values that count."""
        if array.dtype.kind not in "fcV":
            return Flaws(0, 0, array.size)
        # Dtypes that NumPy itself does not know, such as bfloat16, fit into float32.
        wide = array.astype("float32") if array.dtype.kind == "V" else array
        chosen = np.ones(wide.shape, bool) if among is None else among
        nan = int(np.sum(np.isnan(wide) & chosen))
        infinite = int(np.sum(np.isinf(wide) & chosen))
        only = str(wide.reshape(-1)[0]) if wide.size == 1 else ""
        return Flaws(nan, infinite, wide.size, only)

    def __bool__(self) -> bool:
        return self.nan + self.infinite > 0

    def __str__(self) -> str:
        if self.only:
            return self.only
        found = [
            f"{count:,} {word}"
            for count, word in ((self.nan, "nan"), (self.infinite, "inf"))
            if count
        ]
        return f"{' and '.join(found) or 'none'} among {self.size:,} values"
