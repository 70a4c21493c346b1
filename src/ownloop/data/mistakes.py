"""What is said of a call of `Batches` that others' habits have written.

Arrays side by side, as in `fit(x, y)`; a batch size that is forgotten; PyTorch's word
for the remainder. Python would say of each that some argument is one too many or too
few. What else is wrong with a call is left to Python.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from ownloop.errors import DataError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def explained(init: Callable[_P, _R]) -> Callable[_P, _R]:
    """Returns `init` with the same signature, which says what is wrong with a call."""

    @functools.wraps(init)
    def checked(*arguments: _P.args, **options: _P.kwargs) -> _R:
        _check(arguments[1:], options)  # Without the object itself.
        return init(*arguments, **options)

    return checked


def _check(arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
    for value in arguments[1:]:
        if _has_rows(value):
            raise DataError(
                f"batch_size is of type {type(value).__name__}, of length "
                f"{len(value):,}. Expected all arrays in the first argument, and then "
                "how many examples make a batch. Put the arrays into one tuple: "
                "ol.Batches((x, y), batch_size=32)."
            )
    if "drop_last" in options:
        value = options["drop_last"]
        raise DataError(
            f"Batches got drop_last={value!r}, which is PyTorch's word. Expected "
            "`drop_remainder`, which leaves out a last batch that is shorter than the "
            f"others. Write drop_remainder={value!r}."
        )
    if len(arguments) == 1 and "batch_size" not in options:
        raise DataError(
            "Batches got no batch_size. Expected how many examples make a batch. "
            "Write, for example, ol.Batches(arrays, batch_size=32)."
        )


def _has_rows(value: Any) -> bool:
    is_plain = isinstance(value, list | tuple)
    return is_plain or len(getattr(value, "shape", ())) > 0
