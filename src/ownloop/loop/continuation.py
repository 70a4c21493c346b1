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
from ownloop.loop.capture import Tracked, assign, assign_flags, place_of, restore
from ownloop.loop.changes import Changes
from ownloop.loop.programs import step_name
from ownloop.loop.run import Run
from ownloop.loop.run_files import RunFiles
from ownloop.resume import fingerprint, optimizers, owned
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
        changes: What was changed since this process has left it.
        resume: Whether it is continued: True, False or "inexact".

    Attributes:
        has_refused: Whether it was refused since it was opened; it stays as it is.
    """

    def __init__(
        self,
        files: RunFiles,
        run: Run,
        tracked: Tracked,
        changes: Changes,
        *,
        resume: bool | str,
    ) -> None:
        self._files = files
        self._run = run
        self._tracked = tracked
        self._changes = changes
        self._resume = resume
        self._found: tuple[str, Checkpoint] | None = None
        # What an epoch begins with whose first call has not been met.
        self._unsure: Checkpoint | None = None
        # The user goes on inexactly, with layers frozen that were not, or not so.
        self._has_own_flags = False
        # This loop has left the run, and had it open before.
        self._is_again = False
        self.has_refused = False
        self._early: list[str] = []
        # The names of passes that this process has not come to yet.
        self._unmet: set[str] = set()
        # By call of this epoch, the name of its pass, and what was known of it before.
        self._before: dict[int, tuple[str, Mapping[str, Any]]] = {}
        # As `Tracked.kinds`, of an earlier process.
        self._earlier_kinds: Mapping[str, Mapping[str, str]] = {}
        # As `Tracked.frozen`, of steps that this process has not compiled yet.
        self._earlier_frozen: dict[str, Mapping[str, Any]] = {}
        # By step, what its latest pass has looked at.
        self._seen: dict[str, weakref.ref[Surroundings]] = {}
        # The pass and step that the run was in the middle of.
        self._inside = ""
        # What optimizers were built for that their first step builds here.
        self._unbuilt: Mapping[str, list[str]] = {}
        self._claimed: dict[str, weakref.WeakSet[AbstractProgram]] = {}
        # By step, the variables that it was asked with for what it builds.
        self._tried: dict[str, set[frozenset[int]]] = {}
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
        run, self._is_again, self.has_refused = self._run, is_again, False
        run.history.follow(None)
        owned.check_dtypes(self._tracked.names.variables())
        try:
            # Whatever `resume` is: what this loop has left is its own run.
            may_continue = is_again or self._resume is not False
            found = self._files.open(may_continue=may_continue)
            if found.checkpoint is None or found.name is None:
                self._begin_anew()
            else:
                self._compare_settings(found.checkpoint, is_again=is_again)
                self._continue(found.name, self._changes.put_into(found.checkpoint))
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
        self._files.verify(checkpoint.meta["files"])
        tracked.names.is_new_process = not self._files.was_kept_here
        restore(run, tracked, checkpoint, name)
        # Not before: whoever hands in other objects is refused, and nothing changes.
        run.history.take_over(self._files.cut_back(checkpoint.meta["files"]))
        self._found, self._unmet = (name, checkpoint), set(tracked.passes)
        # Within a process a step may be compiled as often as what it reads changes.
        is_new, meta = tracked.names.is_new_process, checkpoint.meta
        self._unbuilt = optimizers.not_built(run.objects, meta["optimizers"])
        self._earlier_kinds = meta["kinds"] if is_new else {}
        self._earlier_frozen = dict(meta["frozen"]) if is_new else {}
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
        assign(self._run, self._tracked, checkpoint, name)
        # Perhaps the body of a pass said so, which is not gone through again.
        self._run.stop_reason = checkpoint.meta["stopping"]
        place = place_of(checkpoint)
        if place.is_inside:
            self._compare("", *_flags(owned.named(self._run.objects), checkpoint))
            where = "of layers that `Loop(...)` does not own, "
            self._compare(where, *_flags(self._unowned_variables(), checkpoint))
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
        call = calls.enter()
        place = calls.place()
        section = f"{place.round}/{place.epoch}/"
        self._reach(step, words, section, call)
        if not call.is_over:
            self._inside = words if call.open is not None else ""
            if self._unsure is not None:
                unsure, self._unsure = self._unsure, None
                self._tell_of_flags(unsure)
            now = fingerprint.of_pass(step, data)
            self._compare_pass(words, section, call, now)
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
        self, key: str, section: str, call: Call, now: Mapping[str, Any]
    ) -> None:
        """Compares a pass with what the run had at this call, or under its name.

        A step of another name may be another one, which the run has not come to yet,
        and data may be made anew for each epoch, or be others in the next round. Only
        at the call that the run was in must both be what they were.
        """
        passes, place = self._tracked.passes, f"{section}{call.number}"
        here = [k for k in self._unmet if passes[k]["call"] == place]
        earlier = here[0] if here else key
        before = passes.get(earlier)
        if before is not None and earlier in self._unmet:
            self._unmet.discard(earlier)
            is_of_this_round = _round_of(before["call"]) == _round_of(place)
            is_known = bool(here) or (before["varies"] is False and is_of_this_round)
            was = {
                "code": before["code"],
                "data": before["data"] if is_known else now["data"],
            }
            self._compare(f"pass {key.partition(': ')[0]!r}: ", was, now)
        if call.number == 0:
            self._before.clear()
        self._before[call.number] = key, {} if before is None else {earlier: before}
        passes.pop(earlier, None)
        passes[key] = {
            **now,
            "call": place,
            "varies": None if before is None else _varies(before, section, now),
        }

    def forget(self, call: Call) -> None:
        """Forgets what a pass depends on that has done nothing yet.

        Whoever mends its step or its data need not say "inexact".
        """
        key, before = self._before.pop(call.number, ("", {}))
        self._tracked.passes.pop(key, None)
        self._tracked.passes.update(before)

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
        if program.kind != EAGER:
            self._note_frozen(step, seen)
        claimed = self._claimed.setdefault(step, weakref.WeakSet())
        if program in claimed and program.kind != EAGER:
            return
        settings, kind = fingerprint.of_program(seen), program.kind
        earlier = self._earlier_kinds.get(key, {})
        before = earlier.get(settings, kind)
        self._compare(f"{key}: ", {"program": before}, {"program": kind})
        if earlier and kind not in earlier.values():
            tracked.names.forget_order(step)
        tracked.names.note(step, variables, is_traced=program.kind != EAGER)
        known = tracked.names.variables()
        optimizers.check_built(self._run.objects, self._unbuilt, known)
        owned.check_dtypes(known)
        tracked.waiting.assign(known)
        # Nothing that it reads is frozen into an eager program: one stands for all.
        frozen = "" if kind == EAGER else settings
        tracked.kinds.setdefault(key, {})[frozen] = kind
        claimed.add(program)

    def _note_frozen(self, step: str, seen: Surroundings) -> None:
        """Notes, once for each pass, what is frozen into its program; compares that.

        In the middle of a pass it was frozen when that began, and must be the same. For
        another pass the script may have chosen otherwise, and it is said.
        """
        if step in self._seen and self._seen[step]() is seen:
            return
        self._seen[step], now = weakref.ref(seen), fingerprint.of_frozen(seen)
        before = self._earlier_frozen.pop(step, {})
        common = {
            name: then
            for name, then in before.items()
            if name in now and _are_as_many(then, now[name])
        }
        words = fingerprint.differences(common, {name: now[name] for name in common})
        if words and self._inside == step:
            self._refuse(
                f"{step} reads other values or code: {'; '.join(words[:_MANY])}"
            )
        elif words:
            self._run.say(
                f"{step} reads other values or code than before the run was "
                f"interrupted: {'; '.join(words[:_MANY])}"
            )
        self._tracked.frozen[step] = now

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

        Those only in a new process, before the user's code has changed any on its way.
        """
        before, now = dict(checkpoint.meta["fingerprint"]), self._fingerprint()
        objects = before.pop("objects")
        if not (self._files.is_taken_over or is_again):
            common = in_both(objects, settings_of(self._run.objects))
            before["objects"] = {name: then for name, (then, _) in common.items()}
            now["objects"] = {name: value for name, (_, value) in common.items()}
            self._has_own_flags = any(
                name.endswith(".trainable") and then != value
                for name, (then, value) in common.items()
            )
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
        self._refuse(f"{where}{'; '.join(differences)}")

    def other_batches(self, words: str) -> None:
        """Says that a stream does not come again; refuses that in another process.

        A cell that is run once more goes on, and the run is marked.

        Raises:
            FolderError: The run is to be continued exactly.
        """
        if self._is_again:
            self._go_on_inexactly(words)
        else:
            self._refuse(words)

    def _refuse(self, words: str) -> None:
        """Refuses to go on, or says what differs where the user goes on inexactly."""
        if self._resume == "inexact":
            self._go_on_inexactly(words)
            return
        self.has_refused = True
        raise FolderError(
            f"The run in {self._files.folder} cannot be continued exactly: {words}. "
            "Expected what it began with, since otherwise other numbers come out. "
            "Restore that, or pass `Loop(resume='inexact')`, which marks the run."
        )

    def _go_on_inexactly(self, words: str) -> None:
        if not self._tracked.inexact:
            self._run.say(f"continuing inexactly, since {words}")
        self._tracked.inexact = True


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


def _are_as_many(then: Any, now: Any) -> bool:
    """Whether a name stands for as many values: more may appear with the first call."""
    counts = [len(v) if isinstance(v, list) else None for v in (then, now)]
    return counts[0] == counts[1]


def _round_of(place: str) -> str:
    return place.partition("/")[0]


def _varies(
    before: Mapping[str, Any], section: str, now: Mapping[str, Any]
) -> bool | None:
    """Says whether a pass has other data in each epoch; None after a single one."""
    if before["varies"] or before["data"] != now["data"]:
        return True
    is_another_epoch = not before["call"].startswith(section)
    return False if is_another_epoch else before["varies"]
