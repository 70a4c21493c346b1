"""The order of a run's own writes with one line removed or moved: each must show.

Changes of a trace, as in `mutants`, and judged by `run_crashes`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from faults.disks import Call
from faults.mutants import MutantCount, Trace, count_mutants, count_restarts
from faults.power import HOME
from faults.run_crashes import RUN_FOLDER, count_run_crashes

_UNFINISHED = RUN_FOLDER / ".run.json.new"


def count_run_mutants(
    trace: Trace, mutants: dict[str, Callable[[Trace], Trace]]
) -> MutantCount:
    """Cut the power of each mutant of a run until a bad state is found."""
    return count_mutants(trace, mutants, count_run_crashes)


def count_run_restarts(traces: list[Trace]) -> MutantCount:
    """Cut the power of the mutants of traces with a kill; one trace must show each."""
    return count_restarts(traces, RUN_RESTARTS, count_run_crashes)


def _without(verb: str, name: str) -> Callable[[Trace], Trace]:
    def change(trace: Trace) -> Trace:
        return [c for c in trace if (c.verb, c.path) != (verb, RUN_FOLDER / name)]

    return change


def _later(is_moved: Callable[[Call], bool]) -> Callable[[Trace], Trace]:
    """Such calls before a checkpoint happen when it is committed."""

    def change(trace: Trace) -> Trace:
        changed: Trace = []
        waiting: Trace = []
        for call in trace:
            if is_moved(call):
                waiting.append(call)
                continue
            changed.append(call)
            if call.verb == "acknowledge":
                changed += waiting
                waiting = []
        return changed + waiting

    return change


def _is_about(name: str, *verbs: str) -> Callable[[Call], bool]:
    return lambda call: call.verb in verbs and call.path == RUN_FOLDER / name


def _is_of_the_run(call: Call) -> bool:
    return call.path == RUN_FOLDER / "history.db"


def _unsynchronised_identity(trace: Trace) -> Trace:
    """The folder is not synchronised when `run.json` has got its name."""
    return [
        call
        for before, call in zip([None, *trace], trace, strict=False)
        if before is None
        or not (before.path == _UNFINISHED and call.verb == "sync_folder")
    ]


def _identity_in_place(trace: Trace) -> Trace:
    """`run.json` is written under its own name."""
    return [
        replace(call, path=RUN_FOLDER / "run.json")
        if call.path == _UNFINISHED
        else call
        for call in trace
        if not (call.verb == "rename" and call.path == _UNFINISHED)
    ]


def _without_home(trace: Trace) -> Trace:
    return [c for c in trace if (c.verb, c.path) != ("sync_folder", HOME)]


RUN_MUTANTS: dict[str, Callable[[Trace], Trace]] = {
    "log.txt is not synchronised": _without("sync", "log.txt"),
    "log.txt is synchronised after the checkpoint": _later(
        _is_about("log.txt", "sync")
    ),
    "log.txt is written after the checkpoint": _later(
        _is_about("log.txt", "append", "sync")
    ),
    "history.db is not synchronised": _without("sync", "history.db"),
    "history.db is synchronised after the checkpoint": _later(
        _is_about("history.db", "sync")
    ),
    "rows are added after the checkpoint": _later(_is_of_the_run),
    "the new history.db is not synchronised": _without("sync", ".history.db.new"),
    "run.json is not synchronised": _without("sync", ".run.json.new"),
    "the folder of run.json is not": _unsynchronised_identity,
    "run.json is written in place": _identity_in_place,
    "the folder of the run's folder is not synchronised": _without_home,
    "no name in the run's folder is": lambda trace: [
        c for c in trace if (c.verb, c.path) != ("sync_folder", RUN_FOLDER)
    ],
}


def _not_again(path: Path) -> Callable[[Trace], Trace]:
    """The other process does not begin with synchronising a folder."""

    def change(trace: Trace) -> Trace:
        begin = next(i for i, call in enumerate(trace) if call.verb == "restart")
        for place, call in enumerate(trace[begin:], begin):
            if call.verb == "create" and call.path.name == "log.txt":
                break
            if (call.verb, call.path) == ("sync_folder", path):
                return trace[:place] + trace[place + 1 :]
        return trace

    return change


RUN_RESTARTS: dict[str, Callable[[Trace], Trace]] = {
    "the folder of a run's folder that was there is not": _not_again(HOME),
    "the folder of a run.json that was there is not": _not_again(RUN_FOLDER),
}
"""For traces in which a process was killed and another one went on."""
