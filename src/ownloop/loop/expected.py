"""What each pass of a run depends on, as an earlier process had it: kept and compared.

Its step's code, its data, the kinds of its programs, what is frozen into them, and
which variables they use.
"""

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from ownloop.backends.contract import EAGER
from ownloop.loop.capture import Tracked
from ownloop.loop.exactness import Exactness
from ownloop.resume import fingerprint
from ownloop.resume.calls import Call
from ownloop.step import Surroundings

_TURNS: Final = 8
"""So many programs of one step that take turns are told from those that are new."""


@final
class Expected:
    """Compares passes with those of the run that is gone on with.

    Args:
        tracked: Where what they depend on is kept, as part of the state.
        exactness: Refuses what differs.
    """

    def __init__(self, tracked: Tracked, exactness: Exactness) -> None:
        self._tracked = tracked
        self._exactness = exactness
        # The names of passes that this process has not come to yet.
        self._unmet: set[str] = set()
        # By call of this epoch, the name of its pass, and what was known of it before.
        self._before: dict[int, tuple[str, Mapping[str, Any]]] = {}
        # As `Tracked.kinds`, of an earlier process.
        self._kinds: Mapping[str, Mapping[str, str]] = {}
        # As `Tracked.frozen`, of steps that this process has not compiled yet.
        self._frozen: dict[str, list[dict[str, Any]]] = {}
        # By step, what its latest pass has looked at.
        self._seen: dict[str, weakref.ref[Surroundings]] = {}
        # The pass and step that the run was in the middle of.
        self._inside = ""
        # By pass and step, where its latest call is.
        self._places: dict[str, str] = {}
        # By shape, which variables the programs of the call used that the run was in,
        # and of which kind they were.
        self._used: dict[str, tuple[str, Sequence[str]]] = {}
        self._is_new_process = False

    def expect(self, *, is_new_process: bool) -> None:
        """Expects what was put back; of programs only in a new process.

        Within one a step may be compiled as often as what it reads changes.
        """
        self._unmet = set(self._tracked.passes)
        self._kinds = copy.deepcopy(self._tracked.kinds) if is_new_process else {}
        self._frozen = dict(self._tracked.frozen) if is_new_process else {}
        self._is_new_process, self._used = is_new_process, {}
        self._places.clear()

    # ------------------------------------------------------------------- passes

    def enter(self, key: str, section: str, call: Call, now: Mapping[str, Any]) -> None:
        """Compares a pass with what the run had at this call, or under its name.

        A step of another name may be another one, which the run has not come to yet,
        steps may take turns under one name, and data may be made anew for each epoch,
        or be others in the next round. Only at the call that the run was in must both
        be what they were.

        Args:
            key: The pass and its step.
            section: The round and the epoch.
            call: The call; one that is not finished.
            now: What it depends on; see `fingerprint.of_pass`.

        Raises:
            FolderError: They differ.
        """
        self._inside = key if call.open is not None else ""
        passes, place = self._tracked.passes, f"{section}{call.number}"
        self._enter_place(key, place, call)
        here = [k for k in self._unmet if passes[k]["call"] == place]
        earlier = here[0] if here else key
        before = passes.get(earlier)
        if before is not None and earlier in self._unmet:
            self._unmet.discard(earlier)
            is_of_this_round = _round_of(before["call"]) == _round_of(place)
            is_known = bool(here) or (before["varies"] is False and is_of_this_round)
            # One name may stand for several steps, such as two lambdas, in turns.
            is_one_of_them = not here and now["code"] in _codes_of(before)
            name = _name_of(key)
            was = {
                "name": name if call.open is None else _name_of(earlier),
                "code": now["code"] if is_one_of_them else before["code"],
                "data": before["data"] if is_known else now["data"],
            }
            self._exactness.compare(f"pass {name!r}: ", was, {"name": name, **now})
            # Another round may have data of its own, as may an epoch if one had before.
            if not is_known and is_of_this_round and not before["varies"]:
                self._exactness.tell(
                    f"pass {name!r} has other data than before the run was "
                    "interrupted, which only an epoch of their own may have: ",
                    {"data": before["data"]},
                    {"data": now["data"]},
                )
        if call.number == 0:
            self._before.clear()
        self._before[call.number] = key, {} if before is None else {earlier: before}
        passes.pop(earlier, None)
        passes[key] = {
            **now,
            "codes": sorted({*_codes_of(before), now["code"]}),
            "call": place,
            "varies": None if before is None else _varies(before, section, now),
        }

    def meet(self, section: str, call: Call) -> None:
        """Takes note of a call that is answered: no other one is compared with it."""
        place, passes = f"{section}{call.number}", self._tracked.passes
        self._unmet = {key for key in self._unmet if passes[key]["call"] != place}

    def forget(self, call: Call) -> None:
        """Forgets what a pass depends on that has done nothing yet.

        Whoever mends its step or its data need not say "inexact".
        """
        key, before = self._before.pop(call.number, ("", {}))
        self._tracked.passes.pop(key, None)
        self._tracked.passes.update(before)

    def _enter_place(self, key: str, place: str, call: Call) -> None:
        self._places[key] = place
        if self._tracked.calls.is_within_another(call):
            return
        used = self._tracked.used
        if call.open is None or used.get("place") != place:
            self._tracked.used, self._used = {"place": place, "programs": []}, {}
        elif self._is_new_process:
            self._used = {
                s: (kind, names)
                for kind, names, shapes in used["programs"]
                for s in shapes
            }

    # ----------------------------------------------------------------- programs

    def is_of_known_kind(self, key: str, kind: str, seen: Surroundings) -> bool:
        """Compares a program with what the run had where its step read the same.

        Args:
            key: The pass, its step, and the shape of a batch.
            kind: The program's kind, which is kept.
            seen: What the step reads.

        Returns:
            Whether the run had programs of this kind there, or none at all.

        Raises:
            FolderError: It had one of another kind where the step read the same.
        """
        settings, earlier = fingerprint.of_program(seen), self._kinds.get(key, {})
        before = earlier.get(settings, kind)
        self._exactness.compare(f"{key}: ", {"program": before}, {"program": kind})
        # Nothing that it reads is frozen into an eager program: one stands for all.
        frozen = "" if kind == EAGER else settings
        self._tracked.kinds.setdefault(key, {})[frozen] = kind
        return not earlier or kind in earlier.values()

    def note_frozen(self, step: str, seen: Surroundings) -> None:
        """Notes, once for each pass, what is frozen into its program; compares that.

        In the middle of a pass it was frozen when that began, and must be the same. For
        another pass the script may have chosen otherwise, and it is said, unless steps
        take turns under one name: some pass of this epoch had it, or of the one before.

        Raises:
            FolderError: It differs in the middle of a pass.
        """
        if step in self._seen and self._seen[step]() is seen:
            return
        self._seen[step], now = weakref.ref(seen), fingerprint.of_frozen(seen)
        self._compare_frozen(step, now)
        recent = self._recent(self._tracked.frozen.get(step, []))
        # What differs in nothing is the same program, before its first call or after.
        others = [entry for entry in recent if _differs(entry["values"], now)]
        latest = {"epoch": self._tracked.calls.section, "values": now}
        self._tracked.frozen[step] = [*others, latest][-_TURNS:]

    def asks_what_is_used(self, step: str, shape: str, kind: str) -> bool:
        """Whether it is to be noted which variables a program uses.

        Once where it is traced, and not in the body of another call.
        """
        used = self._tracked.used
        if not used or self._places.get(step) != used["place"]:
            return False
        noted = {s for *_, shapes in used["programs"] for s in shapes}
        return kind == EAGER or shape in self._used or shape not in noted

    def note_used(
        self,
        step: str,
        shape: str,
        kind: str,
        used: Sequence[str],
        reach: Sequence[str],
    ) -> None:
        """Notes which variables a program uses; compares that within a call.

        There an object may have been chosen, or made, by the head of an earlier epoch,
        which is not run again: the step reaches another one in its place.

        Args:
            step: The pass and its step.
            shape: Of a batch.
            kind: The program's kind.
            used: The names of its variables; where it is not traced, of those that
                have been built by now of all within reach.
            reach: The names of all within reach.

        Raises:
            FolderError: The run had others there, and they are not within reach.
        """
        earlier, before = self._used.pop(shape, (kind, []))
        lost = [name for name in before if name not in {*used, *reach}]
        # Within reach may have been what the step does not use, and so does not build.
        is_lost = kind != EAGER or not set(used) <= set(before)
        if lost and is_lost and earlier == kind:
            self._exactness.refuse(
                f"{step} used {len(lost)} variables, such as {self._path(lost[0])!r}, "
                "that are not within its reach now; perhaps the head of an earlier "
                "epoch has made or chosen their object and left it in a Python "
                "variable, which is lost. Make such an object before the epochs, own "
                "it in `Loop(...)`, and choose it by `epoch.number` in each epoch, or "
                "by what is kept in `loop.memory`"
            )
        _note_program(self._tracked.used["programs"], shape, kind, list(used))

    def _path(self, name: str) -> str:
        waiting = self._tracked.waiting.entries
        if name in waiting:
            return waiting[name].path
        return str(self._tracked.names.variables()[name].path)

    def _compare_frozen(self, step: str, now: Mapping[str, Any]) -> None:
        before = self._recent(self._frozen.pop(step, []))
        pairs = [_in_common(entry["values"], now) for entry in before]
        words = f"{step} reads other values or code"
        if pairs and self._inside == step:
            self._exactness.compare(f"{words}: ", *pairs[-1])
        elif pairs and all(not then or then != of_now for then, of_now in pairs):
            where = f"{words} than before the run was interrupted: "
            self._exactness.tell(where, *pairs[-1])

    def _recent(self, frozen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns what passes of this epoch have frozen, and of the one before.

        Not of all: a number that changes from epoch to epoch, and is lost with the
        script's own variables, begins with what it was long ago.
        """
        current = self._tracked.calls.section
        earlier = [entry["epoch"] for entry in frozen if entry["epoch"] != current]
        epochs = {current, *earlier[-1:]}
        return [entry for entry in frozen if entry["epoch"] in epochs]


def _note_program(
    programs: list[list[Any]], shape: str, kind: str, names: list[str]
) -> None:
    """Notes a program; once with all shapes for which the same variables are used."""
    for *_, shapes in programs:
        if shape in shapes:
            shapes.remove(shape)
    alike = [shapes for *words, shapes in programs if words == [kind, names]]
    if alike:
        alike[0].append(shape)
    else:
        programs.append([kind, names, [shape]])
    programs[:] = [program for program in programs if program[-1]]


def _codes_of(before: Mapping[str, Any] | None) -> list[str]:
    """Returns the codes of all steps that a pass had."""
    return [] if before is None else before["codes"]


def _name_of(key: str) -> str:
    return key.partition(": ")[0]


def _round_of(place: str) -> str:
    return place.partition("/")[0]


def _in_common(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns of both what has a name in both, for as many values."""
    names = [n for n in then if n in now and _are_as_many(then[n], now[n])]
    return {n: then[n] for n in names}, {n: now[n] for n in names}


def _differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    before, after = _in_common(then, now)
    return before != after


def _are_as_many(then: Any, now: Any) -> bool:
    """Whether a name stands for as many values: more may appear with the first call."""
    counts = [len(v) if isinstance(v, list) else None for v in (then, now)]
    return counts[0] == counts[1]


def _varies(
    before: Mapping[str, Any], section: str, now: Mapping[str, Any]
) -> bool | None:
    """Says whether a pass has other data in each epoch; None after a single one."""
    if before["varies"] or before["data"] != now["data"]:
        return True
    is_another_epoch = not before["call"].startswith(section)
    return False if is_another_epoch else before["varies"]
