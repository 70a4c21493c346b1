"""What follows when a step makes something NaN or infinite: one word, or a number."""

from dataclasses import dataclass
from typing import Any, final

from ownloop.errors import LoopError
from ownloop.shown import shown
from ownloop.whole import whole_number

_MANY = 100
"""So many steps may be skipped in a run by `nonfinite="skip"`."""


@final
@dataclass(frozen=True)
class Policy:
    """How many such steps are left out, and how the run ends at the next one.

    Attributes:
        skips: Steps that are left out before the run ends.
        raises: Whether it then ends with an error, or is stopped.

    Example:
        >>> Policy.of("raise"), Policy.of(3)
        (Policy(skips=0, raises=True), Policy(skips=3, raises=True))
    """

    skips: int
    raises: bool

    @staticmethod
    def of(value: Any) -> "Policy":
        """Reads what `Loop(nonfinite=...)` was given.

        Raises:
            LoopError: It is none of the words, and no whole number from 0 up.
        """
        number = whole_number(value)
        if number is not None and number >= 0:
            return Policy(number, raises=True)
        known = {
            "raise": Policy(0, raises=True),
            "skip": Policy(_MANY, raises=True),
            "stop": Policy(0, raises=False),
        }
        if isinstance(value, str) and value in known:
            return known[value]
        raise LoopError(
            f"`Loop(nonfinite=...)` got {shown(value)}. Expected what to do with a "
            'step that makes a loss or the state NaN or infinite: "raise", "skip", '
            '"stop", or how many such steps to skip, a whole number from 0 up. Write, '
            'for example, `nonfinite="skip"`.'
        )
