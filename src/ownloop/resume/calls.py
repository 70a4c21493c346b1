"""Counts the calls of a script, and brings it back to where its run stood.

The user's own for-loops cannot be jumped into. Run again, they come to the same calls
in the same order: round after round of `loop.epochs`, epoch after epoch, and in each
one `train` and `validate`. What an earlier process has finished is answered from its
record; the call that it was in goes on where it stood. Such a place, as a value, is in
`place.py`.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, final

from ownloop.errors import LoopError
from ownloop.resume.place import Answer, Done, Open, Place


@final
@dataclass
class Call:
    """One call of `train` or `validate`.

    Attributes:
        number: Its place among the calls of its epoch, or since a round.
        name: Of its pass and step.
        answer: What it gave in an earlier process, if that has finished it.
        open: Where an earlier process left it.
        is_target: Whether it is the one that was interrupted.
    """

    number: int
    name: str = ""
    answer: Answer | None = None
    open: Open | None = None
    is_target: bool = False

    @property
    def is_over(self) -> bool:
        """Whether an earlier process has finished it."""
        return self.answer is not None

    @property
    def result(self) -> Any:
        """What it returned there."""
        return None if self.answer is None else self.answer.result


@final
class Calls:
    """Counts rounds, epochs and calls, and knows what an earlier process has done.

    `on_return` is called when the code has come back to where it was interrupted;
    until then `is_returning` is true.

    Example:
        >>> earlier = Calls()
        >>> _ = earlier.enter_round(10, done=0)
        >>> earlier.enter_epoch(1)
        >>> first, second = earlier.enter(), earlier.enter()
        >>> earlier.finish(first, 0.5)
        >>> now = Calls()
        >>> now.go_to(earlier.place(open={"batch": 300}))
        >>> _ = now.enter_round(10, done=0)
        >>> now.enter_epoch(1)
        >>> now.enter().result, now.enter().open, now.is_returning
        (0.5, {'batch': 300}, True)
    """

    def __init__(self) -> None:
        self.on_return: Callable[[], None] = lambda: None
        self.is_returning = False
        self._target = Place()
        # By call, which calls its body made, where the run was interrupted.
        self._within: dict[int, list[int]] = {}
        self._round = 0
        self._epoch: int | None = None
        self._made = 0
        self._results: dict[int, Answer] = {}
        self._bodies: dict[int, int] = {}
        self._running: list[int] = []
        self._failed: set[int] = set()
        self._between: list[Mapping[int, Answer]] = []
        self._endings: list[str | None] = []
        self._left: set[int] = set()
        self._ends: list[Done] = []
        self._begun: Done | None = None
        self._totals: list[int | None] = []
        # How many steps were done where the code is on its way back through an epoch.
        self._steps: int | None = None
        self._is_in_round = False

    def go_to(self, place: Place, *, round: int = 0) -> None:
        """Takes over where a run stood, for code that begins with this round."""
        self._target, self.is_returning = place, True
        self._within = {}
        for number, body in place.bodies.items():
            self._within.setdefault(body, []).append(number)
        self._round, self._epoch = round, None
        self._clear()
        self._between = list(place.between[: round + 1])
        self._endings = list(place.endings[:round])
        self._left = set(place.left)
        self._ends, self._is_in_round = list(place.ends[:round]), False
        self._totals = list(place.totals[:round])

    def give_up(self) -> None:
        """Ends the return where it is: what is called now was not called before."""
        if self.is_returning:
            self.is_returning, self._epoch = False, None
            self._clear()

    def place(self, open: Open | None = None) -> Place:
        """Returns where the run stands now."""
        return Place(
            self._round,
            self._epoch,
            dict(self._results),
            self._made,
            open,
            tuple(self._between),
            tuple(self._endings),
            dict(self._bodies),
            tuple(sorted(self._left)),
            tuple(self._ends),
            self._begun,
            tuple(self._totals),
        )

    def position(self, now: Done) -> Done:
        """Says how far the run is for the code, which may not be there yet.

        Before and between rounds that an earlier process has finished, the code counts
        with what was done then, as in `loop.epochs(loop.epoch + 2)`; so between the
        finished calls of an epoch.

        Args:
            now: How far it is indeed.
        """
        if not self.is_returning:
            return now
        if self._is_in_round:
            return now if self._steps is None else now._replace(steps=self._steps)
        return self._ends[-1] if self._ends else Done(0, 0)

    @property
    def section(self) -> str:
        """Names the epoch, or the time since a round, in which calls are counted."""
        return f"{self._round}/{self._epoch}/"

    @property
    def round(self) -> int:
        """How many rounds are over."""
        return self._round

    def other_total(self, total: int | None) -> str:
        """Says that the next round, if it is over, was for other epochs; else nothing.

        Of the last round more or fewer may be asked for.
        """
        target = self._target
        last = target.round - (target.epoch is None)
        if not self.is_returning or self._round >= min(last, len(target.totals)):
            return ""
        before = target.totals[self._round]
        return "" if before == total else f"was for {before} epochs and is for {total}"

    @property
    def missing(self) -> str:
        """Says where an earlier process was that this code, on its way, is not yet."""
        target = self._target
        if not self.is_returning or (self._round == 0 and not self._is_in_round):
            return ""  # Such as a script that only validates.
        where = f"round {target.round + 1} of `loop.epochs`"
        return where if target.epoch is None else f"epoch {target.epoch}, in {where}"

    @property
    def left(self) -> Set[int]:
        """The rounds that were left by `break`, or by an exception in their body."""
        return self._left

    def can_be_alone(self) -> bool:
        """Whether no two calls are under way side by side, as in the `zip` of passes.

        What the body of a pass calls is over when the body is.
        """
        unfinished = set(range(self._made)) - self._results.keys() - self._bodies.keys()
        return len(unfinished) <= 1 and not self._failed

    def is_alone(self, call: Call) -> bool:
        """Whether all calls but this one are finished: it can be entered again."""
        is_open = call.number not in self._results
        return is_open and len(self._results) == self._made - 1 and not self._failed

    def is_within_another(self, call: Call) -> bool:
        """Whether it runs in the body of a pass, or beside one that began before."""
        return bool(self._running) and self._running[0] != call.number

    def enter_round(self, total: int | None, done: int) -> tuple[bool, str | None]:
        """Says whether a call of `loop.epochs` is to be gone through, else its ending.

        An earlier process may have finished it. Where that ended with its last epoch,
        and more of them are asked for now, it goes on.
        """
        is_entered, ending = self._enter_round(total, done)
        self._is_in_round, self._steps = is_entered, None
        if len(self._totals) == self._round:
            self._totals.append(total)
        return is_entered, ending

    def _enter_round(self, total: int | None, done: int) -> tuple[bool, str | None]:
        target = self._target
        if self._round == len(self._between):
            self._between.append(dict(self._results))
        if self.is_returning and (self._round, None) == (target.round, target.epoch):
            # It was saved before this round, in a call that is not made again.
            self._arrive()
        if not self.is_returning or self._round >= target.round:
            return True, None
        ending = target.endings[self._round]
        was_last = self._round == target.round - 1 and target.epoch is None
        is_over = ending is not None or self._round in target.left
        if was_last and not is_over and total is not None and total > done:
            self._arrive()
            return True, None
        return False, ending

    def leave_round(
        self, ending: str | None, here: Callable[[], Done], *, is_left: bool = False
    ) -> None:
        """Counts a finished round; what is called now is called after it.

        Args:
            ending: Why it was stopped, if it was.
            here: Says how far the run is, where the code has come to it.
            is_left: Whether it was left by `break`.
        """
        if self.is_returning and self._round >= self._target.round:
            self._check_not_inside(here)
            self._arrive()  # No epoch is left, or fewer were asked for than before.
        ends = self._target.ends if self.is_returning else ()
        self._ends.append(ends[self._round] if self._round < len(ends) else here())
        self._endings.append(ending)
        if is_left:
            self._left.add(self._round)
        self._is_in_round = False
        self._round, self._epoch = self._round + 1, None
        self._begun = None
        self._begin_section()

    def _check_not_inside(self, here: Callable[[], Done]) -> None:
        """Refuses to end a round before the epoch that the run was in the middle of.

        Raises:
            LoopError: It has begun, and no state is left of how it was before.
        """
        if self._target.is_inside and self._target.epoch is not None:
            raise LoopError(
                f"`loop.epochs` was at its end with epoch {here().epochs}; the run in "
                f"this folder was interrupted in epoch {self._target.epoch}. Expected "
                "the code that began the run, and at least as many epochs. Ask for "
                f"{self._target.epoch} epochs to end that one, keep what branches "
                "depend on in `loop.memory`, or choose another folder."
            )

    def enter_epoch(self, number: int) -> None:
        """Counts the calls of an epoch from here."""
        self._epoch = number
        self._begin_section()
        if self.is_returning:
            self._begun = self._target.begun
            self._steps = None if self._begun is None else self._begun.steps

    def begin(self, here: Done) -> None:
        """Keeps how far the run is as an epoch begins, to which the code has come."""
        self._begun = here

    @property
    def begun(self) -> Done | None:
        """How far the run was when this epoch began."""
        return self._begun

    def enter(self, name: str = "") -> Call:
        """Counts a call; says what an earlier process has done of it."""
        call = Call(self._made, name)
        self._made += 1
        if self._running:
            # The outermost: of passes within passes, none is gone through again.
            self._bodies[call.number] = self._running[0]
        known, is_there = self._known()
        if is_there and call.number == self._target.number:
            call.open, call.is_target = self._target.open, True
        elif call.number in known:
            call.answer = self._results[call.number] = known[call.number]
        return call

    def start(self, call: Call) -> None:
        """Says that a call begins to run; from the interrupted one on, all is new."""
        self._running.append(call.number)
        if call.is_target and self.is_returning:
            # What the body of this pass had called before is counted, too.
            self._results = dict(self._target.results)
            self._bodies = dict(self._target.bodies)
            self._made = max(self._made, self._target.made)
            self._arrive()

    def skip(self, call: Call) -> list[Answer]:
        """Says that a finished call is not gone through, nor what its body called.

        Returns:
            What these have given, beginning with the call.
        """
        answers = [] if call.answer is None else [call.answer]
        if call.answer is not None:
            self._steps = call.answer.steps
        known, is_there = self._known()
        first, within = self._made, self._within.get(call.number, [])
        for number in within if is_there else []:
            if number in known and number >= first:
                self._bodies[number] = call.number
                self._results[number] = known[number]
                answers.append(known[number])
                self._made = max(self._made, number + 1)
        return answers

    def finish(
        self,
        call: Call,
        result: Any,
        *,
        steps: int | None = None,
        memory: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Keeps what a call gave; see `Answer`."""
        self._results[call.number] = Answer(result, call.name, steps, memory)
        if call.number in self._running:
            self._running.remove(call.number)

    def fail(self, call: Call) -> None:
        """Says that a call ended without a result, or by an error that may be caught.

        Run again, the code would not get the error, so this epoch cannot be come back
        to any more; but for a call in the body of a pass, which is not made again.
        """
        if call.number in self._running:
            self._running.remove(call.number)
        if call.number in self._bodies:
            self._results.setdefault(call.number, Answer({}, call.name))
        else:
            self._failed.add(call.number)

    def check_returned(self) -> None:
        """Refuses an epoch whose body made fewer calls than it did before.

        Raises:
            LoopError: The interrupted call was not reached.
        """
        _, is_there = self._known()
        if is_there:
            raise LoopError(
                f"Epoch {self._epoch} made {self._made} calls of `train` and "
                f"`validate`; the run in this folder was interrupted in call "
                f"{self._target.number + 1} of it. Expected the code that began the "
                "run, which comes to the same calls in the same order. Resume with "
                "that code, keep what its branches depend on in `loop.memory`, or "
                "choose another folder."
            )

    def _begin_section(self) -> None:
        """Begins to count the calls of an epoch, or those after a round."""
        self._clear()
        _, is_there = self._known()
        # After a round that was left, nothing is saved before the next one begins.
        is_later = self._epoch is None and self._round - 1 in self._target.left
        if is_there and not self._target.is_inside and not is_later:
            self._arrive()

    def _clear(self) -> None:
        self._made, self._results = 0, {}
        self._bodies, self._running, self._failed = {}, [], set()

    def _known(self) -> tuple[Mapping[int, Answer], bool]:
        """Returns the results of this section, and whether the run was within it."""
        target = self._target
        if not self.is_returning:
            return {}, False
        if (self._round, self._epoch) == (target.round, target.epoch):
            return target.results, True
        if self._epoch is None and self._round < len(target.between):
            return target.between[self._round], False
        return {}, False

    def _arrive(self) -> None:
        self.is_returning = False
        self.on_return()
