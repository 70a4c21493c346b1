"""One table for each backend: what was tried, how often, and what came of it."""

import json
import math
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faults.asked import quantile

_DISKS = {"disk": "a run's disk fails", "full disk": "it is really full"}
_CALLS = {
    "calls": "calls of a run",
    "calls of the wanderer": "so, of the wanderer",
    "saves": "moments of saves",
    "saves of the wanderer": "so, of the wanderer",
}
_ITEMS = {
    "items": "items of state",
    "items of images": "so, with images",
    "items of the wanderer": "so, of the wanderer",
}


def lines(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the rows of the table: a name, and figures."""
    rows: list[tuple[str, str]] = []
    if runs := results.get("runs"):
        kinds = _words(runs["kinds"])
        rate = f"at 95 % fewer than 1 in {max(1, math.floor(runs['kills'] / 3))} fail"
        rows += [
            ("kills", f"{runs['kills']} in {runs['runs']} runs ({kinds})"),
            ("resumes", str(runs["resumes"])),
            ("same bits in the end", f"{runs['identical']} of {runs['runs']}; {rate}"),
        ]
    for part, words in _CALLS.items():
        if calls := results.get(part):
            came = (
                f"{calls['identical']} of {calls['points']} kills went on the same "
                f"({calls['total']} in all)"
            )
            rows.append((words, came))
    for part, words in _DISKS.items():
        if disk := results.get(part):
            came = (
                f"{disk['points']} times: {disk['survived']} ended as they should, "
                f"{disk['told'] + disk['shown']} said what to do, "
                f"{len(disk['wrong'])} did not; {disk['went_on']} went on the same"
            )
            rows.append((words, came))
    for part in _ITEMS:
        if items := results.get(part):
            words = f"{items['missed']} of {items['items']} missed"
            rows.append((_ITEMS[part], words))
    if asked := results.get("asked"):
        rows += [
            (
                "SIGTERM and SIGINT",
                f"{asked['heard']} of {asked['signals']} left with their code, "
                f"{asked['saved']} of {asked['once']} saved where they were, "
                f"{asked['identical']} of {asked['runs']} runs the same",
            ),
            (
                "plain scripts asked",
                f"{asked['left']} of {asked['scripts']} left with their code, saved, "
                "and ended the same",
            ),
            (
                "SIGTERM to exit",
                f"p50 {quantile(asked['seconds'], 0.5):.2f} s, "
                f"p99 {quantile(asked['seconds'], 0.99):.2f} s in "
                f"{len(asked['seconds'])} ({_words(asked['kinds'])})",
            ),
        ]
    if changed := results.get("changed"):
        rows.append(
            (
                "changed things",
                f"{changed['refused']} of {changed['changes']} refused by name or "
                f"known, {changed['marked']} of {changed['expected']} marked inexact",
            )
        )
    if overhead := results.get("overhead"):
        rows.append(
            (
                "a save of 7 MB",
                f"{overhead['milliseconds']:.0f} ms ({overhead['low']:.0f} to "
                f"{overhead['high']:.0f}) of training; one a minute costs "
                f"{overhead['percent']:.2f} %",
            )
        )
    rows += _checkpoints(results.get("checkpoints") or {})
    if (commit := results.get("commit milliseconds")) is not None:
        rows.append(("commit of 100 MB", f"{commit:.0f} ms"))
    if here := results.get("machine"):
        rows.append(("on", ", ".join(f"{k} {v}" for k, v in here.items())))
    return rows


def _words(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items())


def _checkpoints(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not counts:
        return []
    kills, crashes, mutants = counts["kills"], counts["crashes"], counts["mutants"]
    corruption, failures = counts["corruption"], counts["failures"]
    hostile = counts["hostile"]
    runs = [counts["run crashes"], counts["run crashes after kills"]]
    cuts = {word: sum(count[word] for count in runs) for word in runs[0]}
    lines = [counts["run mutants"], counts["run mutants after kills"]]
    return [
        (
            "calls of a commit",
            f"{kills['before'] + kills['after']} of {kills['points']} kills left the "
            "one before or the new one",
        ),
        (
            "power cuts",
            f"{crashes['states']} states, {crashes['torn']} torn, {crashes['lost']} "
            f"lost, {crashes['broken']} broken",
        ),
        (
            "lines of the protocol",
            f"{mutants['killed']} of {mutants['mutants']} missed",
        ),
        (
            "power cuts in a run",
            f"{cuts['states']} states, {cuts['refused']} refused, {cuts['lost']} "
            f"lost, {cuts['short']} short of log or history",
        ),
        (
            "lines of a run's order",
            f"{sum(count['killed'] for count in lines)} of "
            f"{sum(count['mutants'] for count in lines)} missed",
        ),
        ("corruptions", f"{corruption['detected']} of {corruption['cases']} detected"),
        (
            "full or broken disks",
            f"{failures['survived']} of {failures['points']} survived",
        ),
        ("hostile files", f"{hostile['refused']} of {hostile['cases']} refused"),
    ]


def table(backend: str, results: Mapping[str, Any]) -> str:
    """Give the table as text."""
    rows = lines(results)
    width = max(len(name) for name, _ in rows)
    eagerly = "" if results.get("compiled", True) else ", without compiling"
    head = f"===== faults on {backend}{eagerly} ====="
    return "\n".join([head, *(f"{name:{width}}  {words}" for name, words in rows)])


def machine(backend: str) -> dict[str, Any]:
    """Say on what this was measured."""
    names = {"tensorflow": ("tensorflow", "tensorflow-cpu")}.get(backend, (backend,))
    return {
        "ownloop": version("ownloop"),
        "python": platform.python_version(),
        "keras": version("keras"),
        backend: _first_version(names),
        "processors": len(os.sched_getaffinity(0)),
        "threads": 1,
        "machine": _processor(),
    }


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write all counts as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def _first_version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return version(name)
        except ModuleNotFoundError:
            continue
    return "unknown"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
