"""The run that is in a folder already: compared, put back, or begun anew.

Owns that a run is only gone on with where everything is as it was: what the process
runs on, the settings of its objects, the code and the data of each pass, the kinds of
its programs. When it is saved and left is in `run_folder.py`.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras

from ownloop.backends.contract import EAGER, AbstractProgram
from ownloop.checkpoints import Checkpoint
from ownloop.errors import FolderError
from ownloop.loop.capture import Tracked, assign, place_of, restore
from ownloop.loop.programs import step_name
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.resume import fingerprint, owned
from ownloop.resume.calls import Call
from ownloop.step import Surroundings, in_both, settings_of

_MANY = 8
"""So many differences are named."""


@final
class Continuation:
    """Goes on with the run in a folder, or begins one there.

    What differs from how the run began is refused by its name, or said where the user
    goes on inexactly.

    Args:
        files: What lies in the folder.
        run: The run that is put back.
        tracked: What is known of it beside its numbers: put back, and compared.
        resume: Whether it is continued: True, False or "inexact".
    """

    def __init__(
        self, files: RunFiles, run: Run, tracked: Tracked, *, resume: bool | str
    ) -> None:
        self._files = files
        self._run = run
        self._tracked = tracked
        self._resume = resume
        self._found: tuple[str, Checkpoint] | None = None
        self._early: list[str] = []
        self._unseen: set[str] = set()
        self._first_time: str | None = None
        self._earlier: Mapping[str, Mapping[str, str]] = {}
        self._claimed: dict[str, weakref.WeakSet[AbstractProgram]] = {}
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
        run.history.follow(None)
        owned.check_dtypes(self._tracked.names.variables())
        try:
            found = self._files.open(may_continue=self._resume is not False)
            if found.checkpoint is None or found.name is None:
                self._begin_anew()
            else:
                self._compare_settings(found.checkpoint, is_again=is_again)
                self._continue(found.name, found.checkpoint)
                # Not before: a run that is refused stays as it is.
                for name, reason in found.refused:
                    run.say(f"the checkpoint {name} is left out: {reason}")
                    self._files.set_aside(name)
        except BaseException:
            self._files.close()
            raise
        self._files.follow(run.history)
        return found.checkpoint is not None

    def _begin_anew(self) -> None:
        self._files.begin_anew()
        objects = settings_of(self._run.objects)
        self._tracked.fingerprint = self._fingerprint() | {"objects": objects}
        for text in self._early:
            self._files.write(text)
            print(text)
        self._early.clear()

    def _continue(self, name: str, checkpoint: Checkpoint) -> None:
        run, tracked = self._run, self._tracked
        history = self._files.cut_back(checkpoint.meta["files"])
        tracked.names.is_new_process = not self._files.was_kept_here
        restore(run, tracked, checkpoint, name)
        run.history.take_over(history)
        self._found, self._unseen = (name, checkpoint), set(tracked.passes)
        # Within a process a step may be compiled as often as what it reads changes.
        self._earlier = checkpoint.meta["kinds"] if tracked.names.is_new_process else {}
        self._claimed.clear()
        place = place_of(checkpoint)
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
        place = place_of(checkpoint)
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
        call = calls.enter()
        place = calls.place()
        self._reach(step, words, f"{place.round}/{place.epoch}/", call)
        if not call.is_over:
            now = fingerprint.of_pass(step, data)
            self._compare_pass(name, words, now, is_in_the_middle=call.open is not None)
        return call

    def _reach(
        self, step: Callable[..., Any], words: str, section: str, call: Call
    ) -> None:
        """Gives the variables within a call's reach the values that wait for them."""
        seen, names = Surroundings.of(step), self._tracked.names
        reach = seen.variables()
        names.emptied = {id(v) for m in seen.metrics for v in m.variables}
        names.leave_calls(section)
        names.note_reach(words, f"{section}{call.number}", reach)
        self._tracked.waiting.assign(names.variables())

    def _compare_pass(
        self, name: str, key: str, now: Mapping[str, Any], *, is_in_the_middle: bool
    ) -> None:
        passes = self._tracked.passes
        # Two steps may share a name; one that the run has not had stands for another.
        if key not in passes:
            earlier = [k for k in self._unseen if k.partition(": ")[0] == name]
            key = earlier[0] if earlier else key
        before = passes.get(key, now)
        if key in self._unseen:
            self._unseen.discard(key)
            # Data that the script makes anew for each epoch are compared only where
            # the run was in the middle of them.
            if before["varies"] and not is_in_the_middle:
                before = dict(before) | {"data": now["data"]}
            self._compare(f"pass {name!r}: ", dict(before) | {"varies": False}, now)
        self._first_time = None if key in passes else key
        varies = before["varies"] or before["data"] != now["data"]
        passes[key] = dict(now) | {"varies": varies}

    def forget_first_time(self) -> None:
        """Forgets a pass that was met for the first time, and has done nothing yet.

        Whoever mends its step need not say "inexact".
        """
        if self._first_time is not None:
            self._tracked.passes.pop(self._first_time, None)

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
                read the same.
        """
        key, tracked = f"{step} {shape}", self._tracked
        claimed = self._claimed.setdefault(step, weakref.WeakSet())
        if program in claimed and program.kind != EAGER:
            return
        settings, kind = fingerprint.of_program(seen), program.kind
        earlier = self._earlier.get(key, {})
        before = earlier.get(settings, kind)
        self._compare(f"{key}: ", {"program": before}, {"program": kind})
        if earlier and kind not in earlier.values():
            tracked.names.forget_order(step)
        tracked.names.note(step, variables, is_traced=program.kind != EAGER)
        owned.check_dtypes(tracked.names.variables())
        tracked.waiting.assign(tracked.names.variables())
        # Nothing that it reads is frozen into an eager program: one stands for all.
        frozen = "" if kind == EAGER else settings
        tracked.kinds.setdefault(key, {})[frozen] = kind
        claimed.add(program)

    # ---------------------------------------------------------------- compared

    def _compare_settings(self, checkpoint: Checkpoint, *, is_again: bool) -> None:
        """Compares what the process runs on, and the settings of the loop's objects.

        Those only in a new process, before the user's code has changed any on its way.
        """
        before, now = dict(checkpoint.meta["fingerprint"]), self._fingerprint()
        objects = before.pop("objects")
        if not (self._files.is_taken_over or is_again):
            common = in_both(objects, settings_of(self._run.objects))
            before["objects"] = {name: then for name, (then, _) in common.items()}
            now["objects"] = {name: value for name, (_, value) in common.items()}
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
        if len(differences) > _MANY:
            # One layer less, and all behind it differ.
            more = f"and {len(differences) - _MANY} more differences"
            differences = [*differences[:_MANY], more]
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
