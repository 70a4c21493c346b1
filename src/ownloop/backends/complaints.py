"""What is said of frameworks' errors that a step meets: words that rooms share.

Which errors these are is known to each room (its own `complaints.py`). An error says
what was wrong where it was raised, which may be in Keras; what to do about it in a step
is known here.
"""

from collections.abc import Iterator
from typing import Final

ASKS_FOR_A_VALUE: Final = (
    "Where a value is asked for, as by `if loss > 1` or `float(loss)`, branch with "
    "`ownloop.cond` or `keras.ops.where`, return the tensor itself, or run the step "
    "eagerly with `Loop(..., compile=False)`."
)


def behind(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and those that led to it.

    Keras raises another one where an error leaves a layer.

    Example:
        >>> try:
        ...     try:
        ...         float("x")
        ...     except ValueError as error:
        ...         raise RuntimeError("in a layer") from None
        ... except RuntimeError as error:
        ...     print([type(e).__name__ for e in behind(error)])
        ['RuntimeError', 'ValueError']
    """
    next_one: BaseException | None = error
    while next_one is not None:
        yield next_one
        next_one = next_one.__cause__ or next_one.__context__
