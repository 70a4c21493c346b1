"""How a run is kept: whether it is continued, when it is saved, and what stays."""

from dataclasses import dataclass
from typing import Any, Final, final

from ownloop.checkpoints import Keep
from ownloop.clock import SaveEvery
from ownloop.errors import LoopError
from ownloop.shown import shown
from ownloop.whole import whole_number

FIVE_MINUTES: Final = SaveEvery(seconds=300.0)
LAST_THREE: Final = Keep(last=3)


@final
class NotNamed:
    """Stands for a folder of which nothing was said: None says that there is none."""

    def __repr__(self) -> str:
        return "None"


NOT_NAMED: Final = NotNamed()


@final
@dataclass(frozen=True)
class Keeping:
    """What a user said about the folder of a run.

    Attributes:
        resume: True, False or "inexact".
        save: When to save beside the ends of epochs.
        keep: Which checkpoints stay.
    """

    resume: bool | str
    save: SaveEvery
    keep: Keep

    @classmethod
    def of(cls, *, resume: Any, save: Any, keep: Any) -> "Keeping":
        """Reads the arguments of `Loop`.

        Raises:
            LoopError: One of them makes no sense.

        Example:
            >>> Keeping.of(resume=True, save=1000, keep=2).keep.last
            2
        """
        if resume not in (True, False, "inexact"):
            raise LoopError(
                f'`resume` is {shown(resume)}. Expected True, False or "inexact". '
                "Leave it out to continue a run that is in the folder."
            )
        number = whole_number(keep)
        if number is not None and number >= 1:
            keep = Keep(last=number)
        if not isinstance(keep, Keep):
            raise LoopError(
                f"`keep` is {shown(keep)}. Expected a number of checkpoints from 1 up, "
                "or `Keep`. Write keep=3, or "
                "keep=ol.Keep(last=3, best=1, by='val_loss')."
            )
        return cls(resume, SaveEvery.of(save), keep)


def check_nothing_to_keep(*, save: Any, keep: Any) -> None:
    """Refuses what a user said about a folder that was not named.

    Raises:
        LoopError: `save` or `keep` is not the one that stands there by itself.

    Example:
        >>> check_nothing_to_keep(save=FIVE_MINUTES, keep=LAST_THREE)
    """
    # By identity: what was written down was meant, also where it is the same.
    for word, value, own in [("save", save, FIVE_MINUTES), ("keep", keep, LAST_THREE)]:
        if value is not own:
            raise LoopError(
                f"`Loop({word}=...)` got {shown(value)} and no folder. Expected a "
                "folder, without which nothing is saved. Name one, as in "
                f'folder="runs/first", or leave `{word}` out; folder=None says that '
                "nothing is to be kept."
            )
