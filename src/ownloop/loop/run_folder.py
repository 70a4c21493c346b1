"""A run that lives in a folder: continued at its begin, saved on its way.

Owns when a run is saved and left, and that a run is only gone on with where everything
is as it was. The files themselves are in `run_files.py`.
"""

import contextlib
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import keras

from ownloop.backends.contract import EAGER, AbstractProgram
from ownloop.checkpoints import Checkpoint, Entry
from ownloop.errors import FolderError
from ownloop.guards import Evidence
from ownloop.loop.capture import (
    Tracked,
    assign,
    capture,
    of_objects,
    place_of,
    restore,
)
from ownloop.loop.home import AbstractHome
from ownloop.loop.keeping import Keeping
from ownloop.loop.programs import step_name
from ownloop.loop.resume_check import Trial
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.loop.signals import Signals
from ownloop.loop.values import Values
from ownloop.resume import fingerprint, owned
from ownloop.resume.calls import Call, Open
from ownloop.resume.names import Names
from ownloop.resume.owned import Saved
from ownloop.resume.plain import pack
from ownloop.step import Surroundings, settings_of


@final
class RunFolder(AbstractHome):
    """Keeps a run in a folder, and continues the run that is there.

    Args:
        folder: Where; made by the first epoch.
        run: The run that is kept.
        how: Whether it is continued, when it is saved, and what stays.
        trial: What this process tries for `check_resume`, if it is one of its own.
    """

    def __init__(
        self, folder: Path, run: Run, how: Keeping, trial: Trial | None = None
    ) -> None:
        self._files = RunFiles(folder, how.keep)
        self._run = run
        self._trial = trial
        self._resume = how.resume
        self._save = how.save
        self._tracked = Tracked(Names(run.objects))
        self._tracked.calls.on_return = self._return
        self._signals = Signals(self._note_leaving, self._can_ever_save)
        self._found: tuple[str, Checkpoint] | None = None
        self._saved = time.monotonic()
        self._early: list[str] = []
        self._unseen: set[str] = set()
        self._saved_step = 0
        self._claimed: dict[str, weakref.WeakSet[AbstractProgram]] = {}
        self._has_single_steps = False
        self._must_reload = False
        self._was_broken = False
        self._lacks_evidence = False
        self._is_warned = False
        self._first_time: str | None = None

    # ------------------------------------------------------------------- rounds

    def enter_round(self, total: int | None) -> tuple[bool, str | None]:
        calls = self._tracked.calls
        if not self._files.is_open or (self._must_reload and self._files.names()):
            self._open()
        else:
            self._files.check_ours()
            self._keep_what_is_there()
        round = calls.round
        answer = calls.enter_round(total, self._run.epoch)
        if round in calls.left:
            self._run.say(
                "the epochs of a loop that was left, by `break` or an exception, are "
                "over as they were; what comes after it goes on"
            )
        if self._was_broken and not calls.is_returning:
            # The `break` was not saved, and this process does not come to it again.
            self._commit_now(None)
        self._was_broken = False
        self._signals.start()
        return answer

    def _keep_what_is_there(self) -> None:
        """Goes on from memory where nothing was saved that could be put back."""
        if not self._must_reload:
            return
        if self._run.step > 0:
            self._run.say(
                f"nothing was saved yet in {self._files.folder}: going on from the "
                f"state in memory, at step {self._run.step:,}"
            )
        self._must_reload = self._lacks_evidence = False

    def leave_round(self, ending: str | None) -> None:
        was_returning = self._tracked.calls.is_returning
        self._tracked.calls.leave_round(ending)
        if not was_returning:
            self._commit_now(None)
        self._files.drain()
        if self._trial is not None and self._run.epochs_total is not None:
            raise SystemExit(0)  # What comes after the loop is not tried.
        self._signals.stop()
        self._leave_if_asked()

    def break_round(self, ending: str | None) -> None:
        self._tracked.calls.leave_round(ending, is_left=True)
        self._was_broken = True
        self._signals.stop()
        try:
            self._files.flush()
        finally:
            # Nothing can be raised here, where Python closes a generator.
            self._files.wait()
            self._signals.send_again()

    def abandon_round(self) -> None:
        # The file is as it was at the last save; a loop that is entered again in this
        # process begins there, as another process would.
        self._must_reload = True
        self._signals.stop()
        self._files.flush()
        self._files.drain()

    def enter_epoch(self, number: int) -> None:
        self._has_single_steps = False
        self._tracked.calls.enter_epoch(number)

    def leave_epoch(self) -> None:
        calls = self._tracked.calls
        calls.check_returned()
        if self._run.stop_reason is not None:
            return  # No epoch begins, and the end of the round is saved at once.
        calls.enter_epoch(self._run.epoch + 1)
        if self._trial is not None:
            self._try(self._trial, lambda: None)
        if self._signals.received is not None:
            self._commit_now(None)
            self._leave_if_asked()
        elif self._files.by is not None or not self._files.is_busy:
            # Where a value decides which checkpoints stay, each epoch has one.
            self._files.drain()
            self._check_value_is_known()
            self._begin_commit(None)

    def _check_value_is_known(self) -> None:
        by, names = self._files.by, self._run.history.names
        if by is not None and by not in names and not self._is_warned:
            self._is_warned = True
            self._run.say(
                f"no checkpoint is the best one: {by!r} is none of the values of an "
                f"epoch, {', '.join(names) or 'of which there are none'}"
            )

    # -------------------------------------------------------------------- calls

    def enter(self, name: str, step: Callable[..., Any], data: Any) -> Call:
        if not self._files.is_open:
            self._open()  # Before any round, there is a validation.
        tracked = self._tracked
        call = tracked.calls.enter()
        seen = Surroundings.of(step)
        reach = seen.variables()
        tracked.names.emptied = {id(v) for m in seen.metrics for v in m.variables}
        place = tracked.calls.place()
        section = f"{place.round}/{place.epoch}/"
        tracked.names.leave_calls(section)
        tracked.names.note_reach(
            f"{name}: {step_name(step)}", f"{section}{call.number}", reach
        )
        tracked.waiting.assign(tracked.names.variables(), {})
        if call.is_over:
            return call
        now = fingerprint.of_pass(step, data)
        # Two steps may share a name; one that the run has not had stands for another.
        key = f"{name}: {step_name(step)}"
        if key not in tracked.passes:
            earlier = [k for k in self._unseen if k.partition(": ")[0] == name]
            key = earlier[0] if earlier else key
        before = tracked.passes.get(key, now)
        if key in self._unseen:
            self._unseen.discard(key)
            # Data that the script makes anew for each epoch are compared only where
            # the run was in the middle of them.
            if before["varies"] and call.open is None:
                before = before | {"data": now["data"]}
            self._compare(f"pass {name!r}: ", before | {"varies": False}, now)
        self._first_time = None if key in tracked.passes else key
        varies = before["varies"] or before["data"] != now["data"]
        tracked.passes[key] = now | {"varies": varies}
        return call

    def enter_single_steps(self) -> None:
        self._has_single_steps = True
        if self._trial is not None:
            self._trial.kill_if_due(self._run.step)
        self._leave_if_asked()

    def start(self, call: Call) -> None:
        self._tracked.calls.start(call)

    def skip(self, call: Call) -> None:
        self._tracked.calls.skip(call)

    def pause(self, call: Call, where: Callable[[], Open | None]) -> None:
        self._files.check()
        self._files.flush_if_due()
        if self._trial is not None and self._can_save(call):
            self._try(self._trial, where)
        if self.is_interrupted(call):
            if self._can_save(call):
                self._commit_now(where())
            self._leave_if_asked()
        elif self._can_save(call) and self._is_due():
            self._begin_commit(where())

    def _try(self, trial: Trial, where: Callable[[], Open | None]) -> None:
        trial.kill_if_due(self._run.step)
        if self._run.step >= trial.steps:
            self._commit_now(where())
            raise SystemExit(0)

    def fail(
        self, call: Call, where: Callable[[], Open | None], error: Exception
    ) -> None:
        if self._lacks_evidence or not self._can_save(call):
            return
        try:
            open = where()
            if open is None and self._first_time is not None:
                # It has done nothing yet, and whoever mends it need not say "inexact".
                self._tracked.passes.pop(self._first_time, None)
            self._commit_now(open)
        except Exception as failure:
            # The error that led here is the one that they must see.
            with contextlib.suppress(Exception):
                error.add_note(f"The run could not be saved either: {failure}")

    def _can_save(self, call: Call) -> bool:
        return self._tracked.calls.is_alone(call) and not self._has_single_steps

    def _can_ever_save(self) -> bool:
        """Whether the next moment to leave will be one to save, by what is known."""
        return self._tracked.calls.can_be_alone() and not self._has_single_steps

    def steps_left(self, step: int) -> int | None:
        return self._save.steps_left(step)

    def is_interrupted(self, call: Call) -> bool:
        is_asked = self._signals.received is not None
        return is_asked and not self._tracked.calls.is_within_another(call)

    def finish(self, call: Call, values: Values) -> None:
        self._tracked.calls.finish(call, pack(values))
        if self._run.current is None:
            self._files.flush()  # Perhaps it was the last call of all.

    def claim(
        self,
        step: str,
        shape: str,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
    ) -> None:
        key, tracked = f"{step} {shape}", self._tracked
        claimed = self._claimed.setdefault(step, weakref.WeakSet())
        if program in claimed and program.kind != EAGER:
            return
        before = tracked.kinds.get(key)
        if before is not None and before != program.kind:
            self._compare(f"{key}: ", {"program": before}, {"program": program.kind})
            tracked.names.forget_order(step)
        tracked.names.note(step, variables, is_traced=program.kind != EAGER)
        tracked.waiting.assign(tracked.names.variables(), {})
        tracked.kinds[key] = program.kind
        claimed.add(program)

    def waiting(self) -> Mapping[str, Entry]:
        entries, objects = self._tracked.waiting.entries, self._run.objects
        return {n: e for n, e in entries.items() if n.partition("/")[0] in objects}

    def wait(self, entries: Mapping[str, Entry]) -> None:
        self._tracked.waiting.entries.update(entries)

    def checkpoints(self) -> list[str]:
        return self._files.names()

    def stored(self, name: str) -> Saved | None:
        names = self.checkpoints()
        fitting = [n for n in names if name in (n, n.partition(".")[0])]
        if not fitting:
            if names and self._tracked.calls.is_returning:
                # It was there when this was done first, and perhaps is no longer. What
                # the run had later is put back where the interrupted call is entered.
                return owned.save(self._run.objects, self.waiting())
            return None
        # Of those at one step, that of the epoch's end is the one that is rated.
        within = [place_of(self._files.meta(n)).is_inside for n in fitting]
        chosen = fitting[within.index(False)] if False in within else fitting[-1]
        return of_objects(self._run, self._files.load(chosen))

    def names(self, variables: Sequence[keras.Variable]) -> list[str]:
        return self._tracked.names.of(variables)

    def print(self, text: str) -> None:
        if not self._files.is_open:
            # Nothing is opened yet; a run that is continued has these lines already.
            self._early.append(text)
        elif not self._tracked.calls.is_returning:
            self._files.write(text)
            print(text)

    # ------------------------------------------------------------------ opening

    def _open(self) -> None:
        run = self._run
        run.history.follow(None)
        try:
            found = self._files.open(may_continue=self._resume is not False)
            if found.checkpoint is None or found.name is None:
                self._begin_anew()
            else:
                self._continue(found.name, found.checkpoint)
                # Not before: a run that is refused stays as it is.
                for name, reason in found.refused:
                    run.say(f"the checkpoint {name} is left out: {reason}")
                    self._files.set_aside(name)
        except BaseException:
            self._files.close()
            raise
        self._files.follow(run.history)
        run.guard.keep_evidence = self._keep_evidence
        self._must_reload, self._saved = False, time.monotonic()
        self._was_broken = False
        self._lacks_evidence = False

    def _keep_evidence(self, evidence: Evidence) -> None:
        # Where that fails nothing is saved, and the run meets the step once more.
        self._lacks_evidence = True
        self._files.keep_evidence(evidence)
        self._lacks_evidence = False

    def _begin_anew(self) -> None:
        self._files.begin_anew()
        objects = settings_of(self._run.objects)
        self._tracked.fingerprint = self._fingerprint() | {"objects": objects}
        for text in self._early:
            self._files.write(text)
            print(text)
        self._early.clear()

    def _continue(self, name: str, checkpoint: Checkpoint) -> None:
        run, tracked, meta = self._run, self._tracked, checkpoint.meta
        self._compare_settings(meta["fingerprint"])
        history = self._files.cut_back(meta["files"])
        tracked.names.is_new_process = not self._files.was_kept_here
        restore(run, tracked, checkpoint, name)
        run.history.take_over(history)
        self._found, self._unseen = (name, checkpoint), set(tracked.passes)
        self._saved_step = run.step
        self._claimed.clear()
        place = place_of(checkpoint.meta)
        # In this process the code is in some round; what was saved may be of an
        # earlier one, which this round then goes on with.
        tracked.calls.go_to(place, round=min(tracked.calls.round, place.round))
        run.say(f"continuing {self._files.folder} at step {run.step:,} ({name})")

    def _return(self) -> None:
        """Puts everything back once more where the interrupted call is entered again.

        On its way there the user's code has run what it had run before, such as a
        learning rate that is halved at each epoch's begin.
        """
        if self._found is None:
            return
        name, checkpoint = self._found
        self._found = None
        assign(self._run, self._tracked, checkpoint, name)
        place = place_of(checkpoint.meta)
        if place.is_inside:
            self._compare_flags(checkpoint)
        if place.epoch is None:
            self._tell_what_is_waiting()

    def _tell_what_is_waiting(self) -> None:
        """Says which variables have no value yet, as their steps are not run again."""
        paths = [
            entry.path
            for name, entry in self._tracked.waiting.entries.items()
            if name.startswith("found/")
        ]
        if paths:
            self._run.say(
                f"{len(paths)} variables of this run, such as {paths[0]!r}, get their "
                "values when their step is met again; objects that `Loop(...)` owns "
                "by name have theirs at once"
            )

    def _compare_settings(self, before: Mapping[str, Any]) -> None:
        """Compares what the process runs on, and the settings of the loop's objects.

        Those only in a new process, before the user's code has changed any on its way.
        """
        objects, now = before["objects"], self._fingerprint()
        if self._files.is_taken_over or self._must_reload:
            now["objects"] = objects
        else:
            mine = settings_of(self._run.objects)
            # What is there in one of them alone has to do with what is built.
            now["objects"] = {n: mine.get(n, value) for n, value in objects.items()}
        self._compare("", before, now)

    def _compare_flags(self, checkpoint: Checkpoint) -> None:
        """Compares `trainable` flags, which the head of an epoch may set."""
        before: dict[str, bool] = {}
        now: dict[str, bool] = {}
        for name, variable in self._tracked.names.variables().items():
            if name in checkpoint.tensors:
                field = f"{variable.path}.trainable"
                before[field] = checkpoint.tensors[name].role == "trainable"
                now[field] = bool(variable.trainable)
        self._compare("", before, now)

    def _fingerprint(self) -> dict[str, Any]:
        return fingerprint.of_process(compiled=self._run.compiled)

    def _compare(
        self, where: str, before: Mapping[str, Any], now: Mapping[str, Any]
    ) -> None:
        differences = fingerprint.differences(before, now)
        if not differences:
            return
        if self._resume == "inexact":
            if not self._tracked.inexact:
                self._run.say(
                    f"continuing inexactly, since {where}{'; '.join(differences)}"
                )
            self._tracked.inexact = True
            return
        raise FolderError(
            f"The run in {self._files.folder} cannot be continued exactly: "
            f"{where}{'; '.join(differences)}. Expected what it began with, since "
            "otherwise other numbers come out. Restore that, or pass "
            "`Loop(resume='inexact')`, which marks the run."
        )

    # ------------------------------------------------------------------- saving

    def _is_due(self) -> bool:
        run, save = self._run, self._save
        if save.seconds is not None:
            late = time.monotonic() - self._saved > save.seconds
            if late and not self._files.is_busy:
                return True
        return (
            save.steps is not None
            and run.step > self._saved_step
            and run.step % save.steps == 0
        )

    def _begin_commit(self, open: Open | None) -> None:
        """Copies the state, and writes it while the next steps run."""
        self._files.begin_commit(
            lambda files: capture(self._run, self._tracked, open, files),
            self._run.history,
            self._run.step,
        )
        self._saved_step, self._saved = self._run.step, time.monotonic()

    def _commit_now(self, open: Open | None) -> None:
        self._files.drain()
        self._begin_commit(open)
        self._files.drain()

    def _note_leaving(self, error: BaseException) -> None:
        """Keeps a signal's exception from being taken for a `break` of the user's."""
        self._run.failed = error

    def _leave_if_asked(self) -> None:
        if self._signals.received is not None:
            self._must_reload = True
            self._signals.stop()
            self._signals.leave()
