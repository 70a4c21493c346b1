"""The run that is in a folder already: put back, or begun anew.

Owns that a run is put back whole, where it was, and only where nothing differs that
decides what it computes: `exactness.py` refuses that, `expected.py` knows what each
pass depends on. Where a run is saved and left is in `run_folder.py`.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras

from ownloop.backends.contract import EAGER, AbstractProgram
from ownloop.checkpoints import Checkpoint
from ownloop.loop.capture import (
    Tracked,
    assign,
    assign_flags,
    assign_memory,
    place_of,
    restore,
)
from ownloop.loop.changes import Changes
from ownloop.loop.exactness import Exactness
from ownloop.loop.expected import Expected
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.loop.shelf import step_name
from ownloop.loop.way_back import WayBack
from ownloop.resume import fingerprint, optimizers, owned
from ownloop.resume.calls import Call
from ownloop.resume.newcomers import Newcomers
from ownloop.resume.place import Answer, Done
from ownloop.step import Surroundings, in_both, settings_of


@final
class Continuation:
    """Goes on with the run in a folder, or begins one there.

    Args:
        files: What lies in the folder.
        run: The run that is put back.
        tracked: What is known of it beside its numbers: put back, and compared.
        changes: What was changed since this process has left it.
        way_back: What the code sees until it has come back.
        resume: Whether it is continued: True, False or "inexact".

    Attributes:
        exactness: Refuses what differs from how the run began.
        expected: What each pass of the run depends on.
    """

    def __init__(
        self,
        files: RunFiles,
        run: Run,
        tracked: Tracked,
        changes: Changes,
        way_back: WayBack,
        *,
        resume: bool | str,
    ) -> None:
        self._files = files
        self._run = run
        self._tracked = tracked
        self._changes = changes
        self._way_back = way_back
        self._may_continue = resume is not False
        self.exactness = Exactness(files.folder, run, tracked, resume)
        self.expected = Expected(tracked, self.exactness)
        self._found: tuple[str, Checkpoint] | None = None
        # What an epoch begins with whose first call has not been met.
        self._unsure: Checkpoint | None = None
        # The user goes on inexactly, with layers frozen that were not, or not so.
        self._has_own_flags = False
        self._early: list[str] = []
        # What optimizers were built for that their first step builds here.
        self._unbuilt: Mapping[str, list[str]] = {}
        self._claimed: dict[str, weakref.WeakSet[AbstractProgram]] = {}
        # By step, the variables that it was asked with for what it builds.
        self._tried: dict[str, set[frozenset[int]]] = {}
        self._newcomers = Newcomers()
        tracked.calls.on_return = self._return

    # ---------------------------------------------------------------- put back

    def open(self, *, is_again: bool) -> bool:
        """Opens the folder; says whether a run was there, which is put back.

        Args:
            is_again: Whether this loop has left the run, and had it open before.

        Raises:
            FolderError: The run there cannot be gone on with, or must not.
            CheckpointError: No checkpoint can be trusted, or the objects differ.
            LoopError: A variable has a dtype that cannot be saved.
        """
        run = self._run
        self.exactness.begin(is_again=is_again)
        run.history.follow(None)
        owned.check_dtypes(self._tracked.names.variables())
        try:
            # Whatever `resume` is: what this loop has left is its own run.
            found = self._files.open(may_continue=is_again or self._may_continue)
            if found.checkpoint is None or found.name is None:
                self._begin_anew()
            else:
                self._compare_settings(found.checkpoint, is_again=is_again)
                self._changes.forget_saved(found.name)
                checkpoint = self._changes.put_into(found.checkpoint)
                self._continue(found.name, checkpoint, is_again=is_again)
                # Not before: a run that is refused stays as it is.
                for name, reason in found.refused:
                    run.say(f"the checkpoint {name} is left out: {reason}")
                    self._files.set_aside(name)
        except BaseException:
            self._files.close()
            raise
        self._files.follow(run.history)
        self._files.note_objects(run.objects.values())
        return found.checkpoint is not None

    def _begin_anew(self) -> None:
        self._files.begin_anew()
        objects = settings_of(self._run.objects)
        self._tracked.fingerprint = self._fingerprint() | {"objects": objects}
        for text in self._early:
            self._files.write(text)
            print(text)
        self._early.clear()

    def _continue(self, name: str, checkpoint: Checkpoint, *, is_again: bool) -> None:
        run, tracked = self._run, self._tracked
        self._files.verify(checkpoint.meta["files"])
        tracked.names.is_new_process = not self._files.was_kept_here
        restore(run, tracked, checkpoint, name)
        if is_again:  # Else the code is at its begin, with what it had there.
            assign_memory(run, checkpoint)
        # Not before: whoever hands in other objects is refused, and nothing changes.
        run.history.take_over(self._files.cut_back(checkpoint.meta["files"]))
        self._way_back.begin()
        if not is_again:
            self._way_back.go_to(Done(0, 0, None, {}))
        self._found = name, checkpoint
        self.expected.expect(is_new_process=tracked.names.is_new_process)
        built_for = checkpoint.meta["optimizers"]
        self._unbuilt = optimizers.not_built(run.objects, built_for)
        self._claimed.clear()
        self._tried.clear()
        place = place_of(checkpoint)
        # In this process the code is in some round; what was saved may be of an
        # earlier one, which this round then goes on with.
        tracked.calls.go_to(place, round=min(tracked.calls.round, place.round))
        run.say(f"continuing {self._files.folder} at step {run.step:,} ({name})")
        if changed := str(self._changes):
            run.say(f"changed since this run was left, and taken as now: {changed}")

    def _return(self) -> None:
        """Puts everything back once more where the interrupted call is entered again.

        On its way there the user's code has run what it had run before, such as a
        learning rate that is halved at each epoch's begin.
        """
        if self._found is None:
            return
        name, checkpoint = self._found
        self.put_flags()
        self._found = None
        with self.exactness.noting():
            assign(self._run, self._tracked, checkpoint, name, is_back=True)
        assign_memory(self._run, checkpoint)
        self._way_back.end()
        self._newcomers.begin()
        # Perhaps the body of a pass said so, which is not gone through again.
        self._run.stop_reason = checkpoint.meta["stopping"]
        place = place_of(checkpoint)
        if place.is_inside:
            mine, others = owned.named(self._run.objects), self._unowned_variables()
            where = "of layers that `Loop(...)` does not own, "
            self.exactness.compare("", *_flags(mine, checkpoint))
            self.exactness.compare(where, *_flags(others, checkpoint))
        elif place.epoch is not None:
            self._unsure = checkpoint
        if place.epoch is None:
            self._tell_what_is_waiting()

    def put_flags(self) -> None:
        """Sets `trainable` flags as they were, where the epochs begin and after heads.

        What the script did in the head of an earlier epoch, it does not do again.
        """
        if self._found is not None and not self._has_own_flags:
            assign_flags(self._run, self._found[1])

    def _tell_of_flags(self, checkpoint: Checkpoint) -> None:
        """Says which flags were others at the end of the epoch before.

        Only of what the loop does not own, and is found in its step: perhaps the head
        of this epoch has set them, and perhaps that of an earlier one, which is lost.
        """
        run = self._run
        words = fingerprint.differences(*_flags(self._unowned_variables(), checkpoint))
        if words:
            run.say(
                f"{'; '.join(words)}: right if the head of epoch {run.current} "
                "set it; objects that `Loop(...)` owns by name have their flags back"
            )

    def _unowned_variables(self) -> dict[str, keras.Variable]:
        known, mine = self._tracked.names.variables(), owned.named(self._run.objects)
        return {name: v for name, v in known.items() if name not in mine}

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

    def print(self, text: str) -> None:
        """Prints a line, and writes it into the log; an earlier process has its own."""
        if not self._files.is_open:
            # Nothing is opened yet; a run that is continued has these lines already.
            self._early.append(text)
        elif not self._tracked.calls.is_returning:
            self._files.write(text)
            print(text)

    # ------------------------------------------------------- calls and programs

    def enter(self, name: str, step: Callable[..., Any], data: Any) -> Call:
        """Takes note of a call of `train` or `validate`, and of what it depends on.

        Raises:
            FolderError: The step's code or the data are not those of the run.
        """
        words, calls = f"{name}: {step_name(step)}", self._tracked.calls
        call = calls.enter(words)
        section = calls.section
        self._reach(step, words, section, call)
        if call.answer is not None:
            self._check_same_call(call, call.answer)
            self.expected.meet(section, call)
        else:
            if self._unsure is not None:
                unsure, self._unsure = self._unsure, None
                self._tell_of_flags(unsure)
            now = fingerprint.of_pass(step, data)
            self.expected.enter(words, section, call, now)
        return call

    def _check_same_call(self, call: Call, answer: Answer) -> None:
        """Refuses to answer a call with what another one gave.

        Raises:
            FolderError: The code came to another call than the run had there.
        """
        if answer.name != call.name:
            current = self._run.current
            where = "outside of any epoch" if current is None else f"of epoch {current}"
            self.exactness.refuse(
                f"call {call.number + 1} {where} was {answer.name!r} and is "
                f"{call.name!r}; perhaps a branch depends on a Python variable, which "
                "is lost, where `loop.memory` is kept"
            )

    def _reach(
        self, step: Callable[..., Any], words: str, section: str, call: Call
    ) -> None:
        """Gives the variables within a call's reach the values that wait for them."""
        seen, names = Surroundings.of(step), self._tracked.names
        reach = seen.variables()
        names.emptied = {id(v) for m in seen.metrics for v in m.variables}
        self._note_newcomers(seen)
        self._changes.meet(seen.metrics)
        names.leave_calls(section)
        names.note_reach(words, f"{section}{call.number}", reach)
        self._assign_waiting()

    def _assign_waiting(self) -> None:
        """Gives values that wait to the variables that are there by now."""
        tracked = self._tracked
        if tracked.waiting.entries:
            holders = owned.holders(self._run.objects)
            with self.exactness.noting():
                tracked.waiting.assign(tracked.names.variables(), holders=holders)

    def _note_newcomers(self, seen: Surroundings) -> None:
        """Takes note of variables that no earlier process can have had."""
        new = self._newcomers.variables(seen.owners)
        self._tracked.names.newcomers.update(map(id, new))

    def claim(
        self,
        step: str,
        shape: str,
        program: AbstractProgram,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None:
        """Gives a program's variables their values; see `AbstractHome.claim`.

        Raises:
            FolderError: An earlier process had another kind of program where the step
                read the same, or other variables in the middle of this pass.
        """
        is_compiled, tracked = program.kind != EAGER, self._tracked
        if is_compiled:
            self.expected.note_frozen(step, seen)
        claimed = self._claimed.setdefault(step, weakref.WeakSet())
        if program in claimed and is_compiled:
            self._note_used(step, shape, program.kind, variables, seen)
            return
        self._note_newcomers(seen)
        if not self.expected.is_of_known_kind(f"{step} {shape}", program.kind, seen):
            tracked.names.forget_order(step)
        tracked.names.note(step, variables, is_traced=is_compiled)
        known = tracked.names.variables()
        with self.exactness.noting():
            optimizers.check_built(self._run.objects, self._unbuilt, known)
        owned.check_dtypes(known)
        self._assign_waiting()
        self._note_used(step, shape, program.kind, variables, seen)
        claimed.add(program)

    def _note_used(
        self,
        step: str,
        shape: str,
        kind: str,
        variables: Sequence[keras.Variable],
        seen: Surroundings,
    ) -> None:
        """Notes and compares which variables a program uses that outlast its pass."""
        if not self.expected.asks_what_is_used(step, shape, kind):
            return
        within = seen.variables()
        used = within if kind == EAGER else variables
        # From what is not within reach, such as an initializer's generator, a step may
        # have drawn for what it has built, and what was built is not built again.
        lasting = set(map(id, within))
        lasting -= {id(v) for metric in seen.metrics for v in metric.variables}
        # What was found in an object before that was built has the object's name, too.
        all_names = self._tracked.names.variables(), owned.named(self._run.objects)
        names = {id(v): name for some in all_names for name, v in some.items()}
        reach = [names[id(v)] for v in (*used, *within) if id(v) in names]
        used_names = [names[id(v)] for v in used if id(v) in lasting and id(v) in names]
        self.expected.note_used(step, shape, kind, used_names, reach)

    def is_to_build(self, step: str, variables: Sequence[keras.Variable]) -> bool:
        """Whether a step may build what values wait for; see `AbstractHome`.

        Once for the same variables: what it has not built by then, it does not build.
        """
        if not self._tracked.waiting.entries:
            return False
        tried = self._tried.setdefault(step, set())
        reach = frozenset(map(id, variables))
        is_new = reach not in tried
        tried.add(reach)
        return is_new

    # ---------------------------------------------------------------- compared

    def _compare_settings(self, checkpoint: Checkpoint, *, is_again: bool) -> None:
        """Compares what the process runs on, and the settings of the loop's objects.

        Those not of the very objects of which this process has kept the run: the user's
        code may have changed some on its way, and so may another cell.
        """
        before, now = dict(checkpoint.meta["fingerprint"]), self._fingerprint()
        objects = before.pop("objects")
        if not is_again:
            mine = self._run.objects
            same = [name for name, thing in mine.items() if self._files.has_kept(thing)]
            common = in_both(objects, settings_of(mine, but_of=same))
            before["objects"] = {name: then for name, (then, _) in common.items()}
            now["objects"] = {name: value for name, (_, value) in common.items()}
            self._has_own_flags = any(
                name.endswith(".trainable") and then != value
                for name, (then, value) in common.items()
            )
        self.exactness.compare("", before, now)

    def _fingerprint(self) -> dict[str, Any]:
        return fingerprint.of_process(compiled=self._run.compiled)


def _flags(
    variables: Mapping[str, keras.Variable], checkpoint: Checkpoint
) -> tuple[dict[str, bool], dict[str, bool]]:
    """Returns the `trainable` flags of variables: as they were, and as they are."""
    before: dict[str, bool] = {}
    now: dict[str, bool] = {}
    for name, variable in variables.items():
        if name in checkpoint.tensors:
            field = f"{variable.path}.trainable"
            before[field] = checkpoint.tensors[name].role == "trainable"
            now[field] = bool(variable.trainable)
    return before, now
