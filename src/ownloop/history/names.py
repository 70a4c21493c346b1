"""The words for a name that the history does not hold."""

import difflib
from collections.abc import Iterable
from typing import Final

from ownloop.errors import HistoryError

_MOST_MEANT: Final = 3
_ALIKE: Final = 0.75
"""So alike is a slip of the pen; of `train_acc` and `train_loss` one is not meant."""


def unknown(
    name: object, known: Iterable[str], what: str, *, hint: str = ""
) -> HistoryError:
    """Returns the error for a name that is not there, with the names that are.

    Args:
        name: What was asked for.
        known: What could have been asked for.
        what: What the names stand for, such as `"a column of epochs"`.
        hint: Where else the name is to be found, as a sentence.

    Example:
        >>> print(unknown("val_los", ["val_loss"], "a column of epochs"))
        'val_los' is not a column of epochs. Expected one of: val_loss. Did you mean \
'val_loss'?
    """
    choices = list(known)
    near = [known for known in choices if name and str(name) in known][:_MOST_MEANT]
    near = near or difflib.get_close_matches(str(name), choices, n=1, cutoff=_ALIKE)
    if choices:
        expected = f"Expected one of: {', '.join(choices)}."
    else:
        expected = "Expected a name that was logged, and so far there is none."
    if hint:
        advice = hint
    elif near:
        advice = f"Did you mean {' or '.join(map(repr, near))}?"
    else:
        advice = "Names are the pass's name, an underscore, and what the step returns."
    return HistoryError(f"{name!r} is not {what}. {expected} {advice}")
