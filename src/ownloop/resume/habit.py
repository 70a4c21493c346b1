"""Whether a place in the user's code goes on with its data, or makes them anew.

Within a process that is seen by the objects. A process that continues a run has other
objects, and goes by what was usual before.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, final

from ownloop.errors import LoopError

_NOT_KNOWN: Final = "not known"
_SAME: Final = "same"
_NEW: Final = "new"
_TURNS: Final = "turns"
_ASSUMED: Final = "assumed"


@final
@dataclass(frozen=True)
class Habit:
    """Which data a place in the code has used, epoch after epoch.

    Attributes:
        latest: The key of the data in the latest epoch; empty where there was none.
        epoch: That epoch.
        kind: What is usual: "same" data, "new" ones, "turns" where earlier ones come
            back, "not known" after one epoch, "assumed" where a process that continues
            has taken them for the same.
        worn: Keys of data that were used for one epoch, and will not come back.

    Example:
        >>> habit = Habit().then("train#0", 1, is_new=True, place="train#0")
        >>> habit.expected(2, "train#0")
        'train#0'
        >>> habit = habit.then("train#1", 2, is_new=True, place="train#0")
        >>> habit.expected(2, "train#0"), habit.expected(3, "train#0")
        ('train#1', None)
    """

    latest: str = ""
    epoch: int = 0
    kind: str = _NOT_KNOWN
    worn: tuple[str, ...] = ()

    def then(
        self,
        key: str,
        epoch: int,
        *,
        is_new: bool,
        place: str,
        is_expected: bool = False,
    ) -> "Habit":
        """Returns the habit after another epoch.

        Args:
            key: Of the data that it brought.
            epoch: Its number.
            is_new: Whether they were not used before.
            place: Where in the code.
            is_expected: Whether they were taken for what `expected` gave.

        Raises:
            LoopError: These are new data, and the ones before were taken for the same.
        """
        if not self.latest:
            first = Habit(key, epoch)
            return first.assumed() if is_expected else first
        if epoch == self.epoch:
            return replace(self, latest=key, epoch=epoch)
        if key == self.latest:
            is_guess = is_expected and self.kind == _NOT_KNOWN
            return Habit(key, epoch, _ASSUMED if is_guess else _SAME)
        if self.kind == _ASSUMED:
            raise LoopError(
                f"Epoch {epoch} brought other data for the pass {name_of(place)!r} "
                f"than epoch {self.epoch}, and the run was continued as if they were "
                "always the same: so early that cannot be told. Expected data that are "
                "made once, before the epochs. Make them there, and start the run "
                "anew, in another folder."
            )
        if not is_new:
            return Habit(key, epoch, _TURNS)
        if self.kind == _NEW:
            return Habit(key, epoch, _NEW, (self.latest,))
        return Habit(key, epoch, _NEW if self.kind == _NOT_KNOWN else _NOT_KNOWN)

    def assumed(self) -> "Habit":
        """Returns the habit where its data are taken for the same ones all along."""
        return replace(self, kind=_ASSUMED) if self.kind == _NOT_KNOWN else self

    @property
    def brings_new(self) -> bool:
        """Whether each epoch makes its data anew, and never comes back to them."""
        return self.kind == _NEW

    def expected(self, epoch: int, place: str) -> str | None:
        """Returns the key of the data that come in this epoch; None: they are new.

        Raises:
            LoopError: That cannot be known.
        """
        if epoch == self.epoch or self.kind in (_SAME, _NOT_KNOWN, _ASSUMED):
            return self.latest
        if self.kind == _NEW:
            return None
        raise LoopError(
            f"The pass {name_of(place)!r} takes turns among several data with "
            f"`steps=`, and which comes in epoch {epoch} cannot be known. Expected one "
            "name for each. Write `epoch.train(..., name=...)` with a name of "
            "their own, and start the run anew."
        )

    def to_json(self) -> list[Any]:
        """Returns the habit as JSON; see `from_json`."""
        return [self.latest, self.epoch, self.kind]

    @classmethod
    def from_json(cls, packed: list[Any]) -> "Habit":
        """Reads what `to_json` gave.

        Example:
            >>> Habit.from_json(Habit("train#0", 3).to_json()).epoch
            3
        """
        return cls(*packed)


def name_of(place: str) -> str:
    """Returns the name of the pass at a place, or that data have their key from.

    Example:
        >>> name_of("outer>inner#0")
        'inner'
    """
    return place.rpartition("#")[0].rpartition(">")[2]
