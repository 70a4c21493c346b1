"""The protocol with one line removed or moved: the tests of the test.

A mutant is a change of a trace. That a line of `Store` is missing means that its call
is missing from the trace, so each must lead to a bad state; a mutant that does not is
either a hole in the test or a line that nothing needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from faults.crashes import FOLDER, count_crashes
from faults.disks import Call
from faults.power import HOME

Trace = list[Call]


@final
@dataclass(frozen=True)
class MutantCount:
    """What came of the mutants; those that survived are named."""

    mutants: int
    killed: int
    survivors: tuple[str, ...]


def count_mutants(
    trace: Trace,
    mutants: dict[str, Callable[[Trace], Trace]],
    count: Callable[..., Any] = count_crashes,
) -> MutantCount:
    """Cut the power of each mutant until a bad state is found.

    Args:
        trace: of the code as it is.
        mutants: by name, changes of it.
        count: cuts the power; its result has `bad`.
    """
    survivors = []
    for name, change in mutants.items():
        changed = change(trace)
        if changed == trace:
            raise AssertionError(f"{name!r} changes nothing")
        if not count(changed, enough=1).bad:
            survivors.append(name)
    return MutantCount(len(mutants), len(mutants) - len(survivors), tuple(survivors))


def count_restarts(
    traces: list[Trace],
    mutants: dict[str, Callable[[Trace], Trace]],
    count: Callable[..., Any] = count_crashes,
) -> MutantCount:
    """Cut the power of the mutants of traces with a kill; one trace must show each."""
    survivors = [
        name
        for name, change in mutants.items()
        if not any(count(change(trace), enough=1).bad for trace in traces)
    ]
    return MutantCount(len(mutants), len(mutants) - len(survivors), tuple(survivors))


def _without(sought: Callable[[Call], bool]) -> Callable[[Trace], Trace]:
    return lambda trace: [call for call in trace if not sought(call)]


def _is_unfinished(path: Path) -> bool:
    return path.parent == FOLDER and path.name.startswith(".tmp-")


def _is_commit(call: Call) -> bool:
    return call.verb == "rename" and _is_unfinished(call.path)


def _is_burial(call: Call) -> bool:
    return call.verb == "rename" and not _is_unfinished(call.path)


def _unsynchronised(after: Callable[[Call], bool]) -> Callable[[Trace], Trace]:
    """No folder is synchronised right after such a call."""

    def change(trace: Trace) -> Trace:
        return [
            call
            for before, call in zip([None, *trace], trace, strict=False)
            if before is None or not (after(before) and call.verb == "sync_folder")
        ]

    return change


def _renamed_early(trace: Trace, verb: str) -> Trace:
    """The commit happens right after the last call of a verb on what is unfinished."""
    changed: Trace = []
    for start, call in enumerate(trace):
        moved = _target_ahead(trace, start, call.path)
        if _is_commit(call):
            continue
        if moved is None:
            changed.append(call)
            continue
        source, target, rest = moved
        place = [other.verb for other in trace].index(verb, rest)
        if start > place:
            call = replace(call, path=target / call.path.relative_to(source))
        changed.append(call)
        if start == place:
            changed.append(Call("rename", source, target))
    return changed


def _target_ahead(
    trace: Trace, start: int, path: Path
) -> tuple[Path, Path, int] | None:
    """Give what an unfinished folder will be called, and where its calls begin."""
    for call in trace[start:]:
        if _is_commit(call) and path.is_relative_to(call.path):
            assert call.target is not None
            first = next(i for i, c in enumerate(trace) if c.path == call.path)
            return call.path, call.target, first
    return None


def _segments(trace: Trace) -> list[tuple[Trace, Trace]]:
    """Give the calls of each commit up to its mark, and of the pruning after it."""
    segments: list[tuple[Trace, Trace]] = []
    commit: Trace = []
    prune: Trace = []
    for call in trace:
        if call.verb == "make_folder" and prune:
            segments.append((commit, prune))
            commit, prune = [], []
        is_after = prune or (commit and commit[-1].verb == "acknowledge")
        if is_after and call.verb != "make_folder":
            prune.append(call)
        elif is_after:
            segments.append((commit, []))
            commit = [call]
        else:
            commit.append(call)
    return [*segments, (commit, prune)]


def _prune_before_durable(trace: Trace) -> Trace:
    """The older ones go before the folder is synchronised for the new one."""
    changed: Trace = []
    for commit, prune in _segments(_buried_at_once(trace)):
        changed += [*commit[:-2], *prune, *commit[-2:]]
    return changed


def _buried_at_once(trace: Trace) -> Trace:
    """What stays is not synchronised before the others go."""
    return [
        call
        for call, after in zip(trace, [*trace[1:], None], strict=False)
        if after is None or not (call.verb == "sync_folder" and _is_burial(after))
    ]


def _deleted_at_once(trace: Trace) -> Trace:
    """What is buried is not synchronised before it is deleted."""
    return [
        call
        for call, after in zip(trace, [*trace[1:], None], strict=False)
        if after is None or (call.verb, after.verb) != ("sync_folder", "remove_file")
    ]


def _prune_before_commit(trace: Trace) -> Trace:
    changed: Trace = []
    for commit, prune in _segments(trace):
        changed += [*prune, *commit]
    return changed


def _acknowledge_before(verb: str) -> Callable[[Trace], Trace]:
    def change(trace: Trace) -> Trace:
        changed: Trace = []
        for commit, prune in _segments(trace):
            place = max(i for i, call in enumerate(commit) if call.verb == verb)
            told = commit[-1]
            changed += [*commit[:place], told, *commit[place:-1], *prune]
        return changed

    return change


def _sync_before_write(trace: Trace) -> Trace:
    """Each file is synchronised when it is still empty."""
    changed: Trace = []
    for call in trace:
        if call.verb == "create":
            changed += [call, Call("sync", call.path)]
        elif call.verb != "sync":
            changed.append(call)
    return changed


def _delete_in_place(trace: Trace) -> Trace:
    """What is pruned keeps its name until its last file is gone."""
    names = {call.target: call.path for call in trace if _is_burial(call)}
    changed: Trace = []
    for call in trace:
        if _is_burial(call):
            continue
        for buried, name in names.items():
            if call.path.is_relative_to(buried):
                call = replace(call, path=name / call.path.relative_to(buried))
        changed.append(call)
    return changed


def _manifest_first(trace: Trace) -> Trace:
    """The manifest is written before what it seals."""
    changed: Trace = []
    for commit, prune in _segments(trace):
        manifest = [call for call in commit if call.path.name == "MANIFEST.json"]
        rest = [call for call in commit if call.path.name != "MANIFEST.json"]
        place = next(i for i, call in enumerate(rest) if call.verb == "create")
        changed += [*rest[:place], *manifest, *rest[place:], *prune]
    return changed


def _file_sync(name: str) -> Callable[[Call], bool]:
    return lambda call: call.verb == "sync" and call.path.name == name


MUTANTS: dict[str, Callable[[Trace], Trace]] = {
    "no file is synchronised": _without(lambda call: call.verb == "sync"),
    "state.safetensors is not": _without(_file_sync("state.safetensors")),
    "meta.json is not": _without(_file_sync("meta.json")),
    "MANIFEST.json is not": _without(_file_sync("MANIFEST.json")),
    "files are synchronised before they are written": _sync_before_write,
    "the unfinished folder is not synchronised": _without(
        lambda call: call.verb == "sync_folder" and _is_unfinished(call.path)
    ),
    "the folder above is not, after the commit": _unsynchronised(_is_commit),
    "the folder of the new folder is not": _without(
        lambda call: call.verb == "sync_folder" and call.path == HOME
    ),
    "no folder is synchronised": _without(lambda call: call.verb == "sync_folder"),
    "renamed before anything is written": lambda t: _renamed_early(t, "make_folder"),
    "renamed before the last file is whole": lambda t: _renamed_early(t, "sync"),
    "acknowledged before the rename": _acknowledge_before("rename"),
    "acknowledged before the folder is synchronised": _acknowledge_before(
        "sync_folder"
    ),
    "pruned before the folder is synchronised": _prune_before_durable,
    "pruned before the commit": _prune_before_commit,
    "pruned in place": _delete_in_place,
    "buried, and deleted at once": _deleted_at_once,
}


def _home_as_it_is(trace: Trace) -> Trace:
    """The folder above is synchronised only by the process that made a folder in it."""
    return [
        call
        for before, call in zip([None, *trace], trace, strict=False)
        if call.verb != "sync_folder"
        or call.path != HOME
        or (before is not None and before.verb == "make_folder")
    ]


RESTARTS: dict[str, Callable[[Trace], Trace]] = {
    "the folder of a folder that was there is not synchronised": _home_as_it_is,
    "what a killed process committed is not, before others go": _buried_at_once,
    "what a killed process buried is not, before it is deleted": _deleted_at_once,
}
"""For traces in which a process was killed and another one went on."""

EQUIVALENT: dict[str, Callable[[Trace], Trace]] = {
    # The rename shows all three files at once, so their order among themselves can
    # hurt nobody here. Where a rename is no single act, the manifest's place matters.
    "the manifest is written first": _manifest_first,
}
