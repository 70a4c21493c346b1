"""The names of folders: which are checkpoints, which are leftovers, and their order.

Owns what a name means. The order of checkpoints is that of their numbers, never of
time: a clock may be set back, and copies get new dates.

    step-1562                        committed, after 1562 steps
    step-1562.2                      the second one at that step
    broken-step-1562                 refused once, set aside, never deleted
    .tmp-step-1562-<pid>-<nonce>     not finished
    .trash-step-1562-<pid>-<nonce>   about to be deleted
"""

import os
import re
import secrets
from dataclasses import dataclass
from typing import final

_COMMITTED = re.compile(r"step-(0|[1-9][0-9]{0,17})(?:\.([2-9]|[1-9][0-9]{1,8}))?")
_LEFTOVER = re.compile(rf"\.(?:tmp|trash)-{_COMMITTED.pattern}-[0-9]+-[0-9a-f]{{16}}")
_SET_ASIDE = "broken-"


@final
@dataclass(frozen=True, order=True)
class Position:
    """Where a checkpoint stands among the others: its step, and its number there.

    Example:
        >>> Position(9) < Position(10) < Position(10, 2), str(Position(10, 2))
        (True, 'step-10.2')
    """

    step: int
    number: int = 1

    def __str__(self) -> str:
        return f"step-{self.step}" + (f".{self.number}" if self.number > 1 else "")


def parse(name: str) -> Position | None:
    """Returns the position that a committed name stands for; None for any other name.

    Example:
        >>> parse("step-1562.2"), parse("step-007"), parse("../step-1")
        (Position(step=1562, number=2), None, None)
    """
    found = _COMMITTED.fullmatch(name)
    return Position(int(found[1]), int(found[2] or 1)) if found else None


def unfinished(name: str) -> str:
    """Returns a name, new at each call, for a checkpoint that is being written."""
    return f".tmp-{name}-{os.getpid()}-{secrets.token_hex(8)}"


def trash(name: str) -> str:
    """Returns a name, new at each call, for a checkpoint that is being deleted."""
    return f".trash-{name}-{os.getpid()}-{secrets.token_hex(8)}"


def is_leftover(name: str) -> bool:
    """Returns whether a name is one that `unfinished` or `trash` returned.

    Example:
        >>> is_leftover(unfinished("step-3")), is_leftover(".tmp-of-my-own")
        (True, False)
    """
    return _LEFTOVER.fullmatch(name) is not None


def set_aside(name: str) -> str:
    """Returns the name under which a refused checkpoint is kept.

    Example:
        >>> set_aside("step-3")
        'broken-step-3'
    """
    return _SET_ASIDE + name


def parse_set_aside(name: str) -> Position | None:
    """Returns the position that a checkpoint had before it was set aside.

    Example:
        >>> parse_set_aside("broken-step-3"), parse_set_aside("step-3")
        (Position(step=3, number=1), None)
    """
    return parse(name[len(_SET_ASIDE) :]) if name.startswith(_SET_ASIDE) else None
