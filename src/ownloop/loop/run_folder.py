"""A run that lives in a folder: saved on its way, and left where a signal asks for it.

Owns where in the user's code a run may be saved, and where it is left. When that is due
is in `saving.py`; what is there at its begin is gone on with by `continuation.py`; the
files themselves are in `run_files.py`.
"""

import atexit
import contextlib
import copy
import shlex
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import keras

from ownloop.backends.contract import AbstractProgram
from ownloop.checkpoints import Entry
from ownloop.errors import LoopError
from ownloop.guards import Evidence
from ownloop.loop.capture import Tracked, memory_text, of_objects, refill
from ownloop.loop.changes import Changes
from ownloop.loop.continuation import Continuation
from ownloop.loop.home import AbstractHome
from ownloop.loop.keeping import Keeping
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.loop.saving import Saving, nowhere
from ownloop.loop.script import script_of_this_process
from ownloop.loop.signals import Signals
from ownloop.loop.trial import AbstractTrial
from ownloop.loop.values import Values
from ownloop.loop.way_back import WayBack
from ownloop.resume import owned
from ownloop.resume.calls import Call
from ownloop.resume.names import Names
from ownloop.resume.owned import Saved
from ownloop.resume.place import Done, Open, Place
from ownloop.resume.plain import pack
from ownloop.step import Surroundings


def _tell_at_exit(reference: "weakref.ref[RunFolder]") -> None:
    home = reference()
    if home is not None:
        home.tell_what_is_missing()


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
        self, folder: Path, run: Run, how: Keeping, trial: AbstractTrial
    ) -> None:
        self._files = RunFiles(folder, how.keep)
        self._run = run
        self._tracked = Tracked(Names(run.objects))
        self._changes = Changes(run, self._tracked)
        self._way_back = WayBack(run)
        self._continuation = Continuation(
            self._files,
            run,
            self._tracked,
            self._changes,
            self._way_back,
            resume=how.resume,
        )
        run.data.streams.differs = self._continuation.exactness.other_batches
        self._trial = trial
        self._signals = Signals(self._note_leaving, self._can_ever_save)
        self._saving = Saving(self._files, run, self._tracked, self._changes, how.save)
        # An error or a signal has left the run; what is in memory is not the last save.
        self._must_reload = False
        # A `break` has left the last round, which was not saved.
        self._was_broken = False
        # This epoch takes steps on batches of the user's own, which no file has.
        self._has_single_steps = False
        # A step that went wrong could not be kept.
        self._lacks_evidence = False

    def close_with(self, loop: object) -> None:
        """Lets go of the folder when the loop is gone."""
        self._files.close_with(loop)

    # ------------------------------------------------------------------- rounds

    def enter_round(self, total: int | None) -> tuple[bool, str | None]:
        calls = self._tracked.calls
        if self._files.was_taken_over:
            self._changes.forget()
        self._changes.collect(self._files.newest)
        if not self._files.is_open or (self._must_reload and self._files.names()):
            self._open()
        else:
            self._files.check_ours()
            if self._must_reload:
                self._keep_what_is_there()
        round = calls.round
        self._check_same_round(total)
        answer = calls.enter_round(total, self._run.epoch)
        if calls.is_returning and answer[0]:
            self._continuation.put_flags()
        if round in calls.left:
            self._run.say(
                "the epochs of a loop that was left, by `break` or an exception, are "
                "over as they were; what comes after it goes on"
            )
        if self._was_broken and not calls.is_returning:
            # The `break` was not saved, and this process does not come to it again.
            self._saving.now()
        self._was_broken = False
        self._signals.start()
        return answer

    def _check_same_round(self, total: int | None) -> None:
        """Refuses to answer a round with another one.

        Raises:
            FolderError: The code asks for another number of epochs than it did there.
        """
        calls = self._tracked.calls
        if words := calls.other_total(total):
            self._continuation.exactness.refuse(
                f"round {calls.round + 1} of `loop.epochs`, which is over, {words}; "
                "perhaps a branch depends on a Python variable, which is lost, where "
                "`loop.memory` is kept"
            )

    def _open(self) -> None:
        try:
            is_continued = self._continuation.open(is_again=self._must_reload)
        except BaseException:
            if self._must_reload:
                self._changes.note()  # What is changed until it is tried again, too.
            raise
        if is_continued:
            atexit.register(_tell_at_exit, weakref.ref(self))
        self._saving.count_from_here()
        self._run.guard.keep_evidence = self._keep_evidence
        if script_of_this_process() is not None:
            folder = shlex.quote(str(self._files.folder))
            self._run.guard.command = f"ownloop replay {folder}"
        self._must_reload = self._was_broken = self._lacks_evidence = False

    def tell_what_is_missing(self) -> None:
        """Says that the script was at its end, and not where the run was saved."""
        if missing := self._tracked.calls.missing:
            self._run.say(
                f"the script has ended, and has not come to {missing}, where the run "
                f"in {self._files.folder} was saved. Expected the code that began the "
                "run: what came out here is no run's end. Keep what its branches "
                "depend on in `loop.memory`, and run it again"
            )

    def _keep_evidence(self, evidence: Evidence) -> None:
        # Where that fails nothing is saved, and the run meets the step once more.
        self._lacks_evidence = True
        self._files.keep_evidence(evidence)
        self._lacks_evidence = False

    def _keep_what_is_there(self) -> None:
        """Goes on from memory where nothing was saved that could be put back."""
        if self._run.step > 0:
            self._run.say(
                f"nothing was saved yet in {self._files.folder}: going on from the "
                f"state in memory, at step {self._run.step:,}"
            )
        self._must_reload = self._lacks_evidence = False

    def leave_round(self, ending: str | None) -> None:
        was_returning = self._tracked.calls.is_returning
        self._tracked.calls.leave_round(ending, self._here)
        if self._tracked.calls.is_returning:
            self._way_back.go_to(self._tracked.calls.position(self._run.done))
        if not was_returning:
            self._saving.now()
        self._saving.end_round()
        if not self._tracked.calls.is_returning:
            # What is assigned on the way back is put back where the run goes on.
            self._changes.note()
        if self._trial.ends_with_round(self._run.epochs_total):
            raise SystemExit(0)
        self._signals.stop()
        self._leave_if_asked()

    def break_round(self, ending: str | None) -> None:
        self._tracked.calls.leave_round(ending, self._here, is_left=True)
        self._was_broken = True
        # Also where the body has caught what a signal raised.
        self._must_reload = False
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
        self._tracked.calls.give_up()
        self._way_back.end()
        self._signals.stop()
        if not isinstance(self._run.failed, SystemExit):  # Which ends this process.
            self._changes.note()
        try:
            self._files.flush()
            self._saving.end_round()
        finally:
            self._signals.send_again()

    def enter_epoch(self, number: int) -> None:
        self._has_single_steps = False
        calls = self._tracked.calls
        calls.enter_epoch(number)
        if calls.is_returning:
            self._way_back.go_to(calls.begun)
        else:
            calls.begin(self._here())

    def _here(self) -> Done:
        """Says how far the run is, with what is in `loop.memory` now."""
        memory: str | None = None
        with contextlib.suppress(LoopError):  # It is refused where it is saved.
            memory = memory_text(self._run.memory)
        looks = self._run.history.counts
        return self._run.done._replace(memory=memory, looks=looks)

    def leave_epoch(self) -> None:
        calls = self._tracked.calls
        calls.check_returned()
        if self._must_reload:
            # The body has caught what a signal raised: what is in memory goes on.
            self._must_reload = False
            self._signals.start()
        if self._run.stop_reason is not None:
            return  # No epoch begins, and the end of the round is saved at once.
        calls.enter_epoch(self._run.epoch + 1)
        self._end_if_tried()
        if self._signals.received is not None:
            self._saving.now()
            self._leave_if_asked()
        else:
            self._saving.end_epoch(is_only_chance=self._has_single_steps)

    # -------------------------------------------------------------------- calls

    def enter(self, name: str, step: Callable[..., Any], data: Any) -> Call:
        if not self._files.is_open:
            self._open()  # Before any round, there is a validation.
        return self._continuation.enter(name, step, data)

    def claim(
        self,
        step: str,
        shape: str,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None:
        self._continuation.claim(step, shape, program, variables, seen)

    def is_to_build(self, step: str, variables: Sequence[keras.Variable]) -> bool:
        return self._continuation.is_to_build(step, variables)

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        run = self._run
        states, memory = owned.states(run.objects), copy.deepcopy(run.memory)
        try:
            yield
        finally:
            owned.put_states(run.objects, states)
            refill(run.memory, memory)

    def start(self, call: Call) -> None:
        self._tracked.calls.start(call)
        if self._tracked.calls.is_returning:
            self._way_back.show_all()  # It was not called before, or has failed.
        self._saving.note_start(call)

    def skip(self, call: Call) -> None:
        calls = self._tracked.calls
        answers = calls.skip(call)
        if calls.is_returning:
            self._way_back.go_over(answers, calls.position(self._run.done))

    def finish(self, call: Call, values: Values) -> None:
        memory = self._saving.memory_changed_by(call)
        self._tracked.calls.finish(
            call, pack(values), steps=self._run.step, memory=memory
        )
        if self._run.current is None:
            self._files.flush()  # Perhaps it was the last call of all.

    def enter_single_steps(self) -> None:
        self._has_single_steps = True
        self._files.check()
        self._files.flush_if_due()
        self._trial.kill_if_due(self._run.step)
        self._leave_if_asked()

    def pause(self, call: Call, where: Callable[[], Open | None]) -> None:
        self._files.check()
        self._files.flush_if_due()
        can_save = self._can_save(call)
        if can_save:
            self._end_if_tried(where, call)
        if self.is_interrupted(call):
            if can_save:
                self._saving.now(where, call)
            self._leave_if_asked()
        elif can_save and self._saving.is_due():
            self._saving.begin(where, call)

    def _end_if_tried(
        self, where: Callable[[], Open | None] = nowhere, call: Call | None = None
    ) -> None:
        """Ends this process where its trial is to end; see `Saving.begin`."""
        self._trial.kill_if_due(self._run.step)
        if self._trial.is_over(self._run.step):
            self._saving.now(where, call)
            raise SystemExit(0)

    def fail(
        self, call: Call, where: Callable[[], Open | None], error: BaseException
    ) -> None:
        if isinstance(error, Exception):
            self._save_before(call, where, error)
        self.drop(call)

    def drop(self, call: Call) -> None:
        self._tracked.calls.fail(call)

    def _save_before(
        self, call: Call, where: Callable[[], Open | None], error: Exception
    ) -> None:
        if self._lacks_evidence or not self._can_save(call):
            return
        try:
            if where() is None:
                self._continuation.expected.forget(call)
            self._saving.now(where, call)
        except Exception as failure:
            # The error that led here is the one that they must see.
            with contextlib.suppress(Exception):
                error.add_note(f"The run could not be saved either: {failure}")

    def _can_save(self, call: Call) -> bool:
        # After an error the code is nowhere that another process could come back to.
        is_refused = self._continuation.exactness.has_refused
        is_somewhere = not (self._must_reload or self._has_single_steps or is_refused)
        calls = self._tracked.calls
        # On the way back the state is a later one than the code has come to.
        return is_somewhere and calls.is_alone(call) and not calls.is_returning

    def _can_ever_save(self) -> bool:
        """Whether the next moment to leave will be one to save, by what is known."""
        return self._tracked.calls.can_be_alone() and not self._has_single_steps

    def is_interrupted(self, call: Call) -> bool:
        is_asked = self._signals.received is not None
        return is_asked and not self._tracked.calls.is_within_another(call)

    def steps_left(self, step: int) -> int | None:
        # The end of a trial is not to depend on the time.
        limits = [self._saving.steps_left(step), self._trial.steps_left(step)]
        return min((limit for limit in limits if limit is not None), default=None)

    def _note_leaving(self, error: BaseException) -> None:
        """Keeps a signal's exception from being taken for a `break` of the user's."""
        self._run.failed = error

    def _leave_if_asked(self) -> None:
        if self._signals.received is not None:
            self._must_reload = True
            self._signals.stop()
            self._tell_what_is_saved()
            self._signals.leave()

    def _tell_what_is_saved(self) -> None:
        """Says to who has asked the run to leave how it is gone on with."""
        if (name := self._files.newest) is not None:
            with contextlib.suppress(Exception):  # Perhaps nobody is left to read.
                self._run.say(
                    f"the run in {self._files.folder} is saved as {name}: run again, "
                    "the script goes on from there"
                )

    # ----------------------------------------------------------- what is asked

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
        within = [
            Place.from_json(self._files.meta(n)["place"]).is_inside for n in fitting
        ]
        chosen = fitting[within.index(False)] if False in within else fitting[-1]
        return of_objects(self._run, self._files.load(chosen))

    def names(self, variables: Sequence[keras.Variable]) -> list[str]:
        return self._tracked.names.of(variables)

    @property
    def is_returning(self) -> bool:
        return self._tracked.calls.is_returning

    def position(self, now: Done) -> Done:
        return self._tracked.calls.position(now)

    def print(self, text: str) -> None:
        self._continuation.print(text)
