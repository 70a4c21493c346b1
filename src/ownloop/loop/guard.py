"""The guard: steps that make something NaN or infinite never reach the user's state.

Steps run unguarded, a stretch at a time, from a state that is kept; selecting the old
or the new state inside of every step would take 1.3 to 1.7 times as long. At the
stretch's end, the losses that it logged and one check of the state decide. A bad step
is undone as a whole, seeds and metrics included, as if its batch were not in the data.
Hence the bits do not depend on where stretches end, with one exception: what is spoilt
and well again within a stretch, without a loss that shows it, is not seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from ownloop.backends.contract import Snapshot
from ownloop.data import Segment
from ownloop.errors import LoopError, NonFiniteError
from ownloop.guards import Evidence, Kept, Report, Spoilt, Where, replay
from ownloop.guards.host import Flaws, host
from ownloop.loop.bisection import BadStep, Stretch, find
from ownloop.loop.logged_steps import LoggedSteps
from ownloop.loop.mean import last_values
from ownloop.loop.nonfinite import Policy

_FIRST_RUN = 8
"""So many steps run at once after a bad one, and then four times as many."""


@final
@dataclass(frozen=True, eq=False)
class Incident:
    """A bad step: what is kept of it, and its variables with their state before it."""

    evidence: Evidence
    variables: tuple[keras.Variable, ...]
    before: Snapshot


@final
@dataclass(frozen=True, eq=False)
class Settled:
    """A stretch as it counts: the Keras objects hold the state after its last part.

    Attributes:
        parts: Its steps, in order, those that were skipped included.
        incidents: Its bad steps.
        is_over: Whether the last of these ends the pass; it is in no part.
    """

    parts: list[LoggedSteps]
    incidents: list[Incident]
    is_over: bool


@final
class Guard:
    """What one run does about bad steps, and what it knows of them.

    Args:
        policy: How many are skipped, and what comes then.
        say: Is told, in a sentence, what was done.
        stop: Ends the run, for a reason.

    Attributes:
        skipped: Steps skipped in the run.
        latest: The latest bad step; None as long as there was none.
        keep_evidence: Is called with the evidence of each bad step, once the state is
            in order; may be set.
        command: What replays a step that was kept, at a prompt; empty where none does.
    """

    def __init__(
        self, policy: Policy, *, say: Callable[[str], None], stop: Callable[[str], None]
    ) -> None:
        self.policy = policy
        self.skipped = 0
        self.latest: Incident | None = None
        self.keep_evidence: Callable[[Evidence], None] | None = None
        self.command = ""
        self._say = say
        self._stop = stop
        self._told = False
        self._unsaid = 0

    def count(self, settled: Sequence[Settled]) -> None:
        """Counts what was skipped, together with the steps; takes no time."""
        for one in settled:
            skipped = len(one.incidents) - one.is_over
            self.skipped += skipped
            if one.incidents:
                self.latest = one.incidents[-1]

    def conclude(self, settled: Sequence[Settled]) -> None:
        """Says and keeps what has happened, and ends the run where it must.

        Raises:
            NonFiniteError: The policy says so.
        """
        for one in settled:
            for i, incident in enumerate(one.incidents):
                evidence = incident.evidence
                if self.keep_evidence is not None:
                    self.keep_evidence(evidence)
                if one.is_over and i == len(one.incidents) - 1:
                    self._end(evidence)
                else:
                    self._tell(evidence)

    def sum_up(self, pass_name: str) -> None:
        """Says at a pass's end how many more steps were skipped than was told."""
        if self._unsaid:
            more, self._unsaid = self._unsaid, 0
            self._say(
                f"{more:,} more step{'s were' if more > 1 else ' was'} skipped in the "
                f"pass {pass_name!r}; {self.skipped:,} in the run"
            )

    def replay(self, step: Callable[..., Any]) -> Report:
        """Runs the latest bad step again; see `Loop.replay`."""
        if self.latest is None:
            raise LoopError(
                "There is no step to replay: none has made a loss or the state NaN or "
                "infinite in this run. Expected one that was undone. To look at a step "
                "of your own, call `ownloop.guards.replay(step, batch, state)`."
            )
        evidence = self.latest.evidence
        state = evidence.over(self.latest.variables)
        return replay(step, evidence.batch, state, evidence.random)

    def _tell(self, evidence: Evidence) -> None:
        if self._told:
            self._unsaid += 1
            return
        self._told = True
        self._say(f"{evidence.where} was skipped, its update undone: {evidence.cause}")

    def _end(self, evidence: Evidence) -> None:
        if not self.policy.raises:
            self._stop(f"step {evidence.where.step:,}: {evidence.cause}")
            return
        after = f" {self.skipped:,} such steps were skipped before." * bool(
            self.skipped
        )
        alone = ""
        if evidence.batch is None and self.policy.skips > self.skipped:
            alone = (
                " A step without a batch is not skipped: it would be the same again."
            )
        later = f", as `{self.command}` does later" if self.command else ""
        raise NonFiniteError(
            f"{evidence.where} made something NaN or infinite: {evidence.cause}."
            f"{after}{alone} Expected finite losses, and a state that stays finite; "
            "the state is as it was before this step. Look at the batch in "
            f"`error.evidence`, let `loop.replay(step)` show where it begins{later}, "
            'or leave such steps out with `Loop(nonfinite="skip")`.',
            evidence,
        )


@final
class PassGuard:
    """The guard over the steps of one pass.

    Args:
        guard: The run's.
        where: Says which step was the last that counted.
        resident: The whole arrays on the host that rows refer to, where there are any.
        examine: Is shown each stretch before anything is decided.
    """

    def __init__(
        self,
        guard: Guard,
        where: Callable[[], Where],
        resident: Sequence[np.ndarray] | None,
        examine: Callable[[Stretch], None] | None = None,
    ) -> None:
        self.run = guard
        self._where = where
        self._resident = resident
        self._examine_first = examine

    def settle(
        self, stretch: Stretch, part: LoggedSteps, earlier: Sequence[Settled]
    ) -> Settled:
        """Decides about a stretch that has just run.

        Args:
            stretch: The steps.
            part: What they logged.
            earlier: What has run just before, and is not counted yet.
        """
        if self._examine_first is not None:
            self._examine_first(stretch)
        if not stretch.is_bad(part, stretch.before):
            return Settled([part], [], is_over=False)
        done = sum(len(p.sizes) for one in earlier for p in one.parts)
        skips = self.run.policy.skips - self.run.skipped
        skips -= sum(len(one.incidents) for one in earlier)
        if next(stretch.pieces.between(0, 1)).signature is None:
            skips = 0  # A step without a batch would be the same again.
        return self._leave_out(stretch, part, done, skips)

    def _leave_out(
        self, stretch: Stretch, part: LoggedSteps, done: int, skips: int
    ) -> Settled:
        """Finds each bad step, and runs the others from the state before it."""
        settled = Settled([], [], is_over=False)
        steps = len(stretch.pieces)
        begin, before, size = 0, stretch.before, _FIRST_RUN
        while True:
            if stretch.is_bad(part, before):
                found = find(stretch, begin, part, before)
                if found.good is not None:
                    settled.parts.append(found.good)
                last = settled.incidents[-1] if settled.incidents else None
                bad, incident = self._examine(stretch, found, done, last)
                settled.incidents.append(incident)
                if len(settled.incidents) > skips:
                    return Settled(settled.parts, settled.incidents, is_over=True)
                settled.parts.append(bad)
                begin, before, size = found.step + 1, found.state, _FIRST_RUN
            else:
                settled.parts.append(part)
                begin, before, size = begin + len(part.sizes), stretch.read(), 4 * size
            if begin == steps:
                return settled
            part = stretch.again(begin, min(begin + size, steps))

    def _examine(
        self, stretch: Stretch, found: BadStep, done: int, last: Incident | None
    ) -> tuple[LoggedSteps, Incident]:
        """Runs a bad step alone, looks at what it does, and undoes it."""
        state = found.state
        part = stretch.again(found.step, found.step + 1)
        spoilt = [_spoilt(stretch, i, state) for i in stretch.spoilt(part, state)]
        stretch.write(state)
        (segment,) = stretch.pieces.between(found.step, found.step + 1)
        if last is not None and last.before is state:
            # A hundred bad steps in a row keep one state, not a hundred.
            kept = last.evidence.state
        else:
            paths = [variable.path for variable in stretch.variables]
            kept = tuple(map(Kept, paths, map(host, state.values)))
        evidence = Evidence(
            where=self._where().later(done + found.step + 1),
            batch=self._batch(segment),
            logged=dict(last_values(part.logged, part.values)),
            losses=tuple(name for name, bad in part.bad_losses().items() if bad.any()),
            state=kept,
            spoilt=tuple(spoilt),
            random=tuple(map(np.array, state.random or ())),
        )
        skipped = LoggedSteps(part.logged, part.values, part.sizes, is_skipped=True)
        return skipped, Incident(evidence, stretch.variables, state)

    def _batch(self, segment: Segment) -> Any:
        if segment.signature is None:
            return None
        if segment.rows is not None and self._resident is not None:
            leaves = [array[segment.rows[0]] for array in self._resident]
        else:
            leaves = [np.array(leaf[0]) for leaf in segment.leaves or ()]
        return segment.signature.structure.unflatten(leaves)


def _spoilt(stretch: Stretch, place: int, before: Snapshot) -> Spoilt:
    variable = stretch.variables[place]
    was = host(before.values[place])
    among = np.isfinite(was.astype("float64"))
    return Spoilt(variable.path, Flaws.of(host(variable), among))
