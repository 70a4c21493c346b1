"""Where a run stands, as a value and as JSON.

Owns what a checkpoint says of the place in the user's code: the round, the epoch, and
the calls that were made in it, with what they gave. How the code comes back there is
known by `calls.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, final

Open = Mapping[str, Any]
"""Where a pass stands, as its own JSON; a checkpoint's tensors are not in it."""


class Done(NamedTuple):
    """How far a run is.

    With what `loop.memory` held there, as JSON, and how many looks of each name
    `loop.history` had; None: that is not known.
    """

    epochs: int
    steps: int
    memory: str | None = None
    looks: Mapping[str, int] | None = None


class Answer(NamedTuple):
    """What a finished call gave, for code that comes to it again.

    Attributes:
        result: What it returned.
        name: Of its pass and step.
        steps: How many steps the run had done then; None: that is not known.
        memory: What changed in `loop.memory` meanwhile, by key, each as JSON or None.
    """

    result: Any
    name: str
    steps: int | None = None
    memory: Mapping[str, str | None] = MappingProxyType({})


@final
@dataclass(frozen=True)
class Place:
    """Where a checkpoint was taken.

    Attributes:
        round: How many rounds of `loop.epochs` were over.
        epoch: The epoch under way, or about to begin; None between two rounds.
        results: By number, what each finished call in this epoch, or since that round,
            gave. A pass is one call; what its body calls is counted after it.
        begun: How far the run was when this epoch began.
        bodies: By number, in the body of which pass a call was made, if in any.
        made: How many calls there were, the open one included.
        open: Where the call stands that was under way, if one was.
        between: By round, what the calls before it gave, and after the one before.
        endings: Why each finished round was stopped; None: nothing has stopped it.
        left: Which finished rounds were left by `break`, and are not gone on with.
        ends: How far the run was when each finished round was over.
        totals: How many epochs each round asked for, the present one included.
    """

    round: int = 0
    epoch: int | None = None
    results: Mapping[int, Answer] = field(default_factory=dict)
    made: int = 0
    open: Open | None = None
    between: tuple[Mapping[int, Answer], ...] = ()
    endings: tuple[str | None, ...] = ()
    bodies: Mapping[int, int] = field(default_factory=dict)
    left: tuple[int, ...] = ()
    ends: tuple[Done, ...] = ()
    begun: Done | None = None
    totals: tuple[int | None, ...] = ()

    @property
    def is_inside(self) -> bool:
        """Whether calls were made since the epoch began, or the round was over."""
        return self.made > 0

    @property
    def number(self) -> int:
        """Which call is to be entered again: the first that is not finished."""
        return next(i for i in range(self.made + 1) if i not in self.results)

    def to_json(self) -> dict[str, Any]:
        """Returns the place as JSON; see `from_json`."""
        return {
            "round": self.round,
            "epoch": self.epoch,
            "results": _answers_with_words(self.results),
            "made": self.made,
            "open": None if self.open is None else dict(self.open),
            "between": [_answers_with_words(results) for results in self.between],
            "endings": list(self.endings),
            "bodies": {str(number): body for number, body in self.bodies.items()},
            "left": list(self.left),
            "ends": [list(done) for done in self.ends],
            "begun": None if self.begun is None else list(self.begun),
            "totals": list(self.totals),
        }

    @classmethod
    def from_json(cls, packed: Mapping[str, Any]) -> "Place":
        """Reads what `to_json` gave.

        Example:
            >>> Place.from_json(Place(round=1, epoch=3).to_json()).epoch
            3
        """
        return cls(
            packed["round"],
            packed["epoch"],
            _answers_with_numbers(packed["results"]),
            packed["made"],
            packed["open"],
            tuple(map(_answers_with_numbers, packed["between"])),
            tuple(packed["endings"]),
            {int(number): body for number, body in packed["bodies"].items()},
            tuple(packed["left"]),
            tuple(Done(*done) for done in packed["ends"]),
            None if packed["begun"] is None else Done(*packed["begun"]),
            tuple(packed["totals"]),
        )


def _answers_with_words(answers: Mapping[int, Answer]) -> dict[str, Any]:
    return {str(n): [*a[:-1], dict(a.memory)] for n, a in answers.items()}


def _answers_with_numbers(packed: Mapping[str, Any]) -> dict[int, Answer]:
    return {int(number): Answer(*answer) for number, answer in packed.items()}
