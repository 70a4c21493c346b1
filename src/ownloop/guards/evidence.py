"""What is kept of a step that went wrong: enough to see it go wrong again.

Plain data: names, numbers and NumPy arrays, ready to be written to a folder. Nothing
here runs a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from ownloop.errors import LoopError
from ownloop.guards.host import Flaws


@final
@dataclass(frozen=True)
class Where:
    """Which step of a run is meant.

    Attributes:
        step: Its number in the run, from 1.
        epoch: Its epoch, from 1: outside of epochs no step is guarded.
        pass_name: The name of its pass, such as "train".
        batch: Its batch's number in the pass, from 1.

    Example:
        >>> print(Where(12, 1, "train", 12))
        Step 12 (epoch 1, batch 12 of the pass 'train')
    """

    step: int
    epoch: int
    pass_name: str
    batch: int

    def later(self, steps: int) -> "Where":
        """Returns the place some steps further on in the same pass."""
        step, batch = self.step + steps, self.batch + steps
        return Where(step, self.epoch, self.pass_name, batch)

    def __str__(self) -> str:
        place = f"epoch {self.epoch}, batch {self.batch:,}"
        return f"Step {self.step:,} ({place} of the pass {self.pass_name!r})"


@final
@dataclass(frozen=True, eq=False)
class Kept:
    """One variable before the step: its Keras path, and its values."""

    path: str
    value: np.ndarray


@final
@dataclass(frozen=True)
class Spoilt:
    """One variable that the step has spoilt: its Keras path, and how much of it.

    Values that were not finite before the step do not count.
    """

    path: str
    flaws: Flaws


@final
@dataclass(frozen=True, eq=False)
class Evidence:
    """A step that was undone because it made something NaN or infinite.

    Attributes:
        where: Which step it was.
        batch: Its batch, as the step takes it: NumPy arrays in tuples, lists, dicts;
            None for a step that takes none.
        logged: What it logged.
        losses: The names of the logged losses that were not finite.
        state: Every variable of the step as it was before it, seeds included.
        spoilt: The variables that it made non-finite.
        random: The state of the framework's own generators before it, which unseeded
            draws come from; empty where there are none.

    Example:
        >>> flaws = Flaws(nan=2, infinite=0, size=3)
        >>> evidence = Evidence(
        ...     where=Where(12, 1, "train", 12),
        ...     batch=None,
        ...     logged={"loss": float("nan")},
        ...     losses=("loss",),
        ...     state=(Kept("dense/kernel", np.zeros(3)),),
        ...     spoilt=(Spoilt("dense/kernel", flaws),),
        ... )
        >>> evidence.cause
        'loss is nan; dense/kernel has 2 nan among 3 values'
    """

    where: Where
    batch: Any
    logged: Mapping[str, Any]
    losses: tuple[str, ...]
    state: tuple[Kept, ...]
    spoilt: tuple[Spoilt, ...]
    random: tuple[np.ndarray, ...] = ()

    @property
    def cause(self) -> str:
        """What is not finite, in words."""
        words = [f"{name} is {self.logged[name]:g}" for name in self.losses]
        words += [f"{s.path} has {s.flaws}" for s in self.spoilt[:1]]
        if len(self.spoilt) > 1:
            more = len(self.spoilt) - 1
            words[-1] += f", and so {'has' if more == 1 else 'have'} {more} more"
        return "; ".join(words) or "nothing, when the step was run again"

    def over(
        self, variables: Sequence[keras.Variable]
    ) -> list[tuple[keras.Variable, np.ndarray]]:
        """Pairs the kept state with variables of equal paths, of any process.

        Where several have one path, they are taken in their order.

        Raises:
            LoopError: A variable is missing, or has another shape.

        Example:
            >>> rate = keras.Variable(0.5, name="rate")
            >>> where, kept = Where(1, 1, "train", 1), Kept("rate", np.array(0.1))
            >>> evidence = Evidence(where, None, {}, (), (kept,), ())
            >>> [(v.path, value.item()) for v, value in evidence.over([rate])]
            [('rate', 0.1)]
        """
        waiting: dict[str, list[keras.Variable]] = {}
        for variable in variables:
            waiting.setdefault(variable.path, []).append(variable)
        pairs = []
        for kept in self.state:
            same = waiting.get(kept.path)
            if not same or tuple(same[0].shape) != kept.value.shape:
                found = (
                    f"has the shape {tuple(same[0].shape)}" if same else "is missing"
                )
                raise LoopError(
                    f"The kept state has the variable {kept.path!r} of shape "
                    f"{kept.value.shape}, which {found} among the {len(variables)} "
                    "variables given. Expected those of the run that kept it. Build "
                    "the same model and optimizer, in the same order, in a process of "
                    "their own."
                )
            pairs.append((same.pop(0), kept.value))
        return pairs
