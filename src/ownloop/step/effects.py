"""What a step does to Python while it is compiled, and no program does again.

Python runs a few times there and never later: a number that it changes each time stays
as it was then, and a tensor that it keeps outside of the step holds no numbers. What
is assigned anew with the same value, such as a batch's length, is no such number.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, final

from ownloop.backends.contract import StepFunction, StepValues
from ownloop.step.surroundings import Surroundings

_RUNS = 2
"""So many runs are looked at: what the first one builds, the second one finds."""


@final
class Watched:
    """A step, as it is called while it is compiled: what it reads is noted each time.

    Args:
        call: The step as a backend calls it, with which nothing is done.
        look: Looks at what the step reads; let go of by `close`.
    """

    def __init__(self, call: StepFunction, look: Callable[[], Surroundings]) -> None:
        self._call = call
        self._look: Callable[[], Surroundings] | None = look
        self._seen: list[Surroundings] = []

    def __call__(self, leaves: Sequence[Any]) -> StepValues:
        values = self._call(leaves)
        if self._look is not None and len(self._seen) < _RUNS:
            self._seen.append(self._look())
        return values

    def close(self) -> tuple[Surroundings, ...]:
        """Ends the watch; returns what the step had read after its first runs."""
        seen, self._seen, self._look = tuple(self._seen), [], None
        return seen


def counted(
    step: str,
    before: Surroundings,
    runs: Sequence[Surroundings],
    after: Surroundings,
) -> dict[str, str]:
    """Says, by name, which numbers of the user's a step changes whenever Python runs.

    Args:
        step: Its name.
        before: What it read before it was compiled.
        runs: The same after its first runs there.
        after: And when it was compiled.
    """
    if len(runs) < _RUNS:
        return {}
    then, once, now = (dict(seen.numbers) for seen in (before, runs[0], after))
    return {
        name: (
            f"{name} is changed by {step} itself, which Python runs only while it is "
            f"compiled (it went from {then.get(name, once[name])!r} to {now[name]!r}): "
            "in a compiled step it stays as it was then. Keep it in a keras.Variable "
            "and change it with assign_add"
        )
        for name in runs[1].other_numbers(runs[0])
        if name in now and not after.is_of_others(name)
    }


def left_behind(step: str, before: Surroundings, after: Surroundings) -> dict[str, str]:
    """Says, by name, what a step has given a tensor that stands for one.

    A list counts once, whatever was put into it.
    """
    known = [tensor for _, tensor in before.placeholders]
    told: dict[str, str] = {}
    for name, tensor in after.placeholders:
        is_new = not any(tensor is other for other in known)
        if is_new and not after.is_of_others(name):
            told.setdefault(
                re.sub(r"\[\d+\]$", "", name),
                f"{name} was given a tensor of {step} while that was compiled, and "
                "holds no numbers outside of it. Return it to have it logged, or keep "
                "it in a keras.Variable",
            )
    return told
