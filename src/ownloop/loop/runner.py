"""One pass's steps: batches in, programs run, state put back where a step fails.

Owns what must hold for each stretch: the Keras objects are read before it and written
after it, and where anything goes wrong in between they are as they were before.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, final

import keras
import numpy as np

from ownloop import backends
from ownloop.backends.births import Births
from ownloop.backends.contract import EAGER, Placed, Snapshot
from ownloop.backends.unseeded import unseeded_state
from ownloop.data import AbstractFeed, Segment, Signature
from ownloop.errors import OwnloopError, StepError
from ownloop.loop.bisection import Stretch
from ownloop.loop.claims import Claims
from ownloop.loop.cutter import Cutter
from ownloop.loop.guard import PassGuard, Settled
from ownloop.loop.interrupts import held, recognized
from ownloop.loop.logged_steps import LoggedSteps
from ownloop.loop.mean import PassMean, last_values
from ownloop.loop.pace import Watch
from ownloop.loop.pieces import Pieces
from ownloop.loop.programs import Programs
from ownloop.loop.rehearsal import rehearse
from ownloop.loop.shelf import Prepared, Step, step_name
from ownloop.loop.values import Values
from ownloop.step import Surroundings

_Kept = list[tuple[tuple[keras.Variable, ...], Snapshot]]


@final
@dataclass(frozen=True)
class Advance:
    """What some steps gave: how many there were, and what they logged.

    is_cut: whether the time ended them before their limit or their data did. is_over:
    whether a step after them was bad, and the run stops here.
    """

    count: int
    last: Values
    columns: dict[str, np.ndarray]
    is_cut: bool = False
    is_over: bool = False

    @staticmethod
    def joined(advances: Sequence["Advance"]) -> "Advance":
        """Returns consecutive ones as one."""
        if len(advances) == 1:
            return advances[0]
        columns = {
            name: np.concatenate([advance.columns[name] for advance in advances])
            for name in advances[0].columns
        }
        count = sum(advance.count for advance in advances)
        return Advance(count, advances[-1].last, columns)


@final
class Runner:
    """Runs the steps of one pass, some at a time.

    Args:
        step: The user's step.
        feed: Where its batches come from.
        programs: Where compiled programs are found.
        data: The feed's whole arrays on the device, where it has them.
        claims: What is known of variables, by name.
        guard: What keeps steps that go wrong out of the state; None: nothing does.
        keep: Whether `restore` is to put back everything that the pass touches.

    Attributes:
        mean: What the pass has logged so far.
        has_failed_to_read: Whether the data, and no step, have raised an error.
    """

    def __init__(
        self,
        step: Step,
        feed: AbstractFeed,
        *,
        programs: Programs,
        data: Placed | None,
        claims: Claims,
        guard: PassGuard | None = None,
        keep: bool = False,
    ) -> None:
        self.mean = PassMean()
        self.has_failed_to_read = False
        self._step = step
        self._feed = feed
        self._programs = programs
        self._data = data
        self._claims = claims
        self._guard = guard
        self._surroundings, self._why = programs.look(step)
        self._prepared: dict[Signature | None, Prepared] = {}
        self._before: _Kept | None = [] if keep else None
        self._reset: dict[int, keras.Metric] = {}
        self._reset_before: set[str] = set()
        self._begun: set[Signature | None] = set()
        self._capacity = programs.liked(step)
        self._next: Segment | None = None
        self._spare: _Kept = []

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The kinds of the programs used so far, each with the reason for it."""
        programs = (prepared.program for prepared in self._prepared.values())
        return tuple({(p.kind, p.reason): None for p in programs})

    def tell_of_changes(self) -> None:
        """Says what the body of the pass has changed that a program has frozen."""
        if any(p.program.kind != EAGER for p in self._prepared.values()):
            self._programs.tell_of_changes(self._step, self._surroundings)

    def tell_of_idle_metrics(self) -> None:
        """Says which metrics the pass has logged and nothing has updated."""
        for prepared in self._prepared.values():
            if prepared.call.idle:
                self._programs.tell_of_idle_metrics(self._step, prepared.call)

    @recognized()
    def advance(
        self, limit: int | None, commit: Callable[[Advance], None] | None = None
    ) -> Advance | None:
        """Runs at most `limit` steps (all that are left, if None); None at the end.

        And no longer than about a second, as `is_cut` then says. `commit` counts what
        was done. An interrupt comes before both, and then the state is as it was, or
        after both, and never in between.
        """
        if self._before is not None and not self._before:
            # Not behind what reading a first block draws: how long that is hangs on
            # whether this process has a program already.
            self._before.append(((), backends.current().read(())))
        kept: _Kept = []
        settled: list[Settled] = []
        left, reset, begun = limit, dict(self._reset), set(self._begun)
        advance, done, watch = None, False, Watch()
        try:
            while (first := self._take(left, 0)) is not None:
                cutter = self._stretch(first, left, watch, kept, settled)
                left = None if left is None else left - len(cutter.pieces)
                if cutter.is_cut or settled[-1].is_over:
                    break
            with held():
                parts = [part for one in settled for part in one.parts]
                if parts:
                    ends = cutter.is_cut, settled[-1].is_over
                    advance = self._sum_up(parts, *ends)
                    if commit is not None:
                        commit(advance)
                elif settled:
                    self._undo(kept, reset, begun)
                if self._guard is not None:
                    self._guard.run.count(settled)
                done = True
                # What is evidence, or is put back later, must not be written over.
                is_free = self._before is None and not any(s.incidents for s in settled)
                self._spare = kept if is_free else []
        except BaseException:
            if not done:
                with held():
                    self._undo(kept, reset, begun)
            raise
        if self._guard is not None:
            self._guard.run.conclude(settled)
        return advance

    def state(self) -> dict[str, Any]:
        """Returns what another process needs to go on with this pass, as JSON."""
        metrics = (m for metric in self._reset.values() for m in metric.variables)
        names = self._reset_before | set(self._claims.names(tuple(metrics)))
        return {"mean": self.mean.state(), "reset": sorted(names)}

    def go_to(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave: means and metrics do not start from zero."""
        self.mean.go_to(state["mean"])
        self._reset_before = set(state["reset"])

    def _stretch(
        self,
        first: Segment,
        left: int | None,
        watch: Watch,
        kept: _Kept,
        settled: list[Settled],
    ) -> Cutter:
        """Runs a stretch; adds what was before it, and what counts of it."""
        prepared = self._prepare(first.signature)
        self._build(first, prepared)
        variables = self._claimed(first.signature, prepared)
        kept.append((variables, self._read(variables)))
        before = self._begin(first.signature, prepared, kept[-1])
        pieces = Pieces(kept=self._guard is not None)
        cutter = Cutter(self._take, first, prepared, left, watch, pieces)
        begin, births = watch.seconds(), Births()
        # What is traced has its variables by now.
        is_traced = prepared.program.kind != EAGER
        try:
            with contextlib.nullcontext() if is_traced else births:
                values = prepared.program.run(iter(cutter), self._data)
        except Exception as error:
            notes = [words for words in (*prepared.left, _advice_on(error)) if words]
            if notes and not self.has_failed_to_read:
                with contextlib.suppress(Exception):
                    error.add_note("\n".join(notes))
            raise
        seconds = watch.seconds() - begin
        prepared.pace.learn(steps=len(pieces), seconds=seconds)
        if births.variables:
            kept.append((births.variables, Snapshot(births.values, before.random)))
            variables += births.variables
            before = Snapshot((*before.values, *births.values), before.random)
        if not is_traced:
            # It has returned, and may have built, nothing until now.
            self._check_same_names(prepared)
            self._claimed(first.signature, prepared)
        self._next = cutter.rest
        part = LoggedSteps(prepared.call.logged, values, pieces.sizes)
        stretch = Stretch(
            prepared.program, self._data, pieces, variables, before, part.logged
        )
        settled.append(self._settle(stretch, part, settled))
        self._programs.tell_of_running_values(self._step, prepared.call)
        return cutter

    def _settle(
        self, stretch: Stretch, part: LoggedSteps, earlier: Sequence[Settled]
    ) -> Settled:
        if self._guard is None:
            return Settled([part], [], is_over=False)
        return self._guard.settle(stretch, part, earlier)

    def _undo(
        self, kept: _Kept, reset: dict[int, keras.Metric], begun: set[Signature | None]
    ) -> None:
        _write(kept)
        self._reset, self._begun = reset, begun

    def _read(self, variables: tuple[keras.Variable, ...]) -> Snapshot:
        """Keeps the variables' values, where the last chunk kept them if it can."""
        for i, (others, spare) in enumerate(self._spare):
            if others is variables:
                del self._spare[i]
                return backends.current().read(variables, reuse=spare)
        return backends.current().read(variables)

    def restore(self) -> None:
        """Puts back everything that this pass has touched; may be called twice."""
        if self._before:
            with held():
                self._reset_new_metrics(self._before)
                _write(self._before)
                self._before.clear()

    def _reset_new_metrics(self, before: _Kept) -> None:
        """Empties metrics that were built since, which a step that was traced had."""
        if all(p.program.kind != EAGER for p in self._prepared.values()):
            return
        kept = {id(variable) for variables, _ in before for variable in variables}
        calls = [p.call.metrics for p in self._prepared.values()]
        for metric in chain(Surroundings.of(self._step).metrics, *calls):
            if any(id(variable) not in kept for variable in metric.variables):
                metric.reset_state()

    def _sum_up(
        self, parts: Sequence[LoggedSteps], is_cut: bool, is_over: bool
    ) -> Advance:
        columns = [self.mean.add(part) for part in parts]
        joined = {n: np.concatenate([c[n] for c in columns]) for n in columns[0]}
        count = sum(len(part.sizes) for part in parts)
        last = last_values(parts[-1].logged, parts[-1].values)
        return Advance(count, last, joined, is_cut, is_over)

    def _take(self, left: int | None, room: int) -> Segment | None:
        """Draws the next segment, of at most `left` batches.

        And at most `room`, or where that is 0, what the last program likes to get.
        """
        if self._next is not None:
            segment, self._next = self._next, None
            return segment
        if left == 0:
            return None
        room = room or self._capacity
        try:
            return self._feed.take(room if left is None else min(left, room))
        except Exception:
            self.has_failed_to_read = True
            raise

    def _prepare(self, signature: Signature | None) -> Prepared:
        if signature not in self._prepared:
            try:
                prepared = self._programs.get(
                    self._step, signature, self._surroundings, self._why
                )
            except Exception as error:
                # The user's exception is raised, also where it takes no notes.
                with contextlib.suppress(Exception):
                    error.add_note(self._in_compilation(error))
                raise
            self._check_same_names(prepared)
            self._prepared[signature] = prepared
            seen = self._programs.without_own(self._step, self._surroundings)
            self._surroundings = seen
        prepared = self._prepared[signature]
        self._capacity = prepared.program.capacity
        return prepared

    def _in_compilation(self, error: Exception) -> str:
        """Returns what an error while a step is compiled may come from."""
        note = (
            f"{step_name(self._step)} was being compiled: Python runs once there, with "
            "placeholders in place of the batch and the variables."
        )
        return f"{note} {_advice_on(error)}".rstrip()

    def _check_same_names(self, prepared: Prepared) -> None:
        logged = prepared.call.logged
        for other in self._prepared.values():
            if other.call.logged and logged and other.call.logged != logged:
                names = [[e.name for e in p.call.logged] for p in (other, prepared)]
                raise StepError(
                    f"{step_name(self._step)} returned the names {names[0]} for one "
                    f"batch and {names[1]} for a batch of another shape. A step logs "
                    "the same names for every batch. Return the same dictionary."
                )

    def _begin(
        self,
        signature: Signature | None,
        prepared: Prepared,
        now: tuple[tuple[keras.Variable, ...], Snapshot],
    ) -> Snapshot:
        """Keeps what is to be put back, and starts the step's metrics from zero.

        Returns the values that the steps start from.
        """
        variables, start = now
        if signature in self._begun:
            return start
        first = not self._begun
        self._begun.add(signature)
        if prepared.program.kind == EAGER and not first:
            # All within reach has begun; what was built since has counted already.
            variables = prepared.program.variables
            now = variables, backends.current().read(variables)
        if self._before is not None:
            self._before.append(now)
        touched = {id(variable) for variable in now[0]}
        cleared: list[keras.Variable] = []
        for metric in (*self._surroundings.metrics, *prepared.call.metrics):
            mine = {id(variable) for variable in metric.variables}
            if not mine & touched or id(metric) in self._reset:
                continue
            if self._reset_before.isdisjoint(self._claims.names(metric.variables)):
                metric.reset_state()
                cleared.extend(metric.variables)
            self._reset[id(metric)] = metric
        if not cleared:
            return start
        zeros = backends.current().read(cleared)
        new = dict(zip(map(id, cleared), zeros.values, strict=True))
        values = zip(variables, start.values, strict=True)
        return Snapshot(
            tuple(new.get(id(variable), value) for variable, value in values),
            start.random,
        )

    def _build(self, first: Segment, prepared: Prepared) -> None:
        """Lets a step that is not traced build what values wait for."""
        variables = self._variables(prepared)
        if prepared.program.kind == EAGER and self._claims.is_to_build(variables):
            with self._claims.untouched():
                rehearse(prepared.program, first, self._data, variables)

    def _claimed(
        self, signature: Signature | None, prepared: Prepared
    ) -> tuple[keras.Variable, ...]:
        """Returns the variables of a program, with what is known of them by name."""
        variables = self._variables(prepared)
        self._claims.claim(signature, prepared.program, variables, self._surroundings)
        return variables

    def _variables(self, prepared: Prepared) -> tuple[keras.Variable, ...]:
        program = prepared.program
        if program.kind != EAGER:
            return program.variables
        # Not traced, so all that is within reach.
        found = (
            *program.variables,
            *self._surroundings.variables(),
            *self._claims.owned(),
            *unseeded_state(),
        )
        return tuple({id(variable): variable for variable in found}.values())


def _advice_on(error: Exception) -> str:
    """Returns what to do about an error in a step, where its own words do not say."""
    if isinstance(error, OwnloopError):
        return ""
    return backends.current().explain(error)


def _write(kept: _Kept) -> None:
    # In reverse: where a variable was kept more than once, its first value wins.
    for variables, snapshot in reversed(kept):
        backends.current().write(variables, snapshot)
