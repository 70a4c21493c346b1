"""Tries all faults, and prints one table.

    PYTHONPATH=src:tests python -m faults                   of checkpoints alone
    PYTHONPATH=src:tests python -m faults --backend jax     of whole runs there

The exit code is 1 where anything came otherwise than it must.
"""

import argparse
import json
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, final

from faults import report
from faults.asked import count_asked
from faults.attempts import Attempt, Outcome
from faults.broken import count_broken
from faults.calls import CallCount, count_calls
from faults.changed import count_changed
from faults.checkpoints import commit_milliseconds, count_checkpoints, is_sound
from faults.ends import apart
from faults.full_run import count_full
from faults.items import OF_LAYERS, PLACES, WANDERED, ItemCount, count_items
from faults.overhead import count_overhead
from faults.runs import JOBS, begin, count_runs, reference
from faults.samples import scratch
from faults.server import Server

_COARSER = 32
"""How much coarser a run of 44 steps is killed at its calls than one of 8."""

_FULL = 4
"""Which of the sizes of a full disk are tried where not all calls are."""

_FINER = 5
"""How much finer items are lost: there are fewer of them than of calls."""

PARTS = ("runs", "calls", "disk", "asked", "changed", "items", "overhead")


def main() -> int:
    """Do what the command line asks for."""
    options = _options()
    if options.backend is None:
        results: dict[str, Any] = {"checkpoints": count_checkpoints()}
        results["commit milliseconds"] = _commit(options.home)
        report.write(options.out / "faults-checkpoints.json", results)
        print(report.table("checkpoints alone", results))
        return int(not is_sound(results["checkpoints"]))
    counts = _whole_runs(options)
    print(report.table(options.backend, _keep(options, counts)))
    bad = {name: count for name, count in counts.items() if not count.is_sound}
    for name, count in bad.items():
        print(f"\nNOT SOUND: {name}: {count}")
    return int(bool(bad))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("--backend", choices=("jax", "tensorflow", "torch"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=6 * 3600)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--eager", action="store_true", help="without compiling")
    parser.add_argument("--home", type=Path, default=Path(".venv/faults"))
    parser.add_argument("--out", type=Path, default=Path(".venv/log"))
    options = parser.parse_args()
    if options.eager and "changed" in options.parts:
        parser.error("what is changed is a compiled run; leave out `changed` here")
    return options


def _whole_runs(options: argparse.Namespace) -> dict[str, Any]:
    """Try what was asked for on one backend, and keep the counts after each part."""
    counts: dict[str, Any] = {}
    with ExitStack() as stack:
        base = Path(stack.enter_context(scratch()))
        home = options.home.absolute()
        servers = [
            stack.enter_context(Server(options.backend, home))
            for _ in range(options.workers)
        ]
        parts = _Parts(options, servers, base)
        for part in options.parts:
            if part != "overhead":
                begin = time.monotonic()
                counts |= getattr(parts, part)()
                _keep(options, counts)
                minutes = (time.monotonic() - begin) / 60
                print(f"{options.backend}: {part}, {minutes:.1f} minutes", flush=True)
    # When the servers are gone, since this is timed.
    if "overhead" in options.parts:
        counts["overhead"] = count_overhead(options.backend)
    return counts


@final
class _Parts:
    """What is tried on one backend; each part gives counts by their names."""

    def __init__(
        self, options: argparse.Namespace, servers: list[Server], base: Path
    ) -> None:
        self._options, self._servers, self._base = options, servers, base
        self._settings = {"compile": not options.eager}

    @cached_property
    def _wholes(self) -> dict[str, Outcome]:
        """What comes of each job where nobody kills."""
        return {job: reference(self._servers[0], self._attempt(job)) for job in JOBS}

    def _attempt(self, job: str) -> Attempt:
        return begin(self._base / f"reference-{job}", job, self._settings)

    def runs(self) -> dict[str, Any]:
        count = count_runs(
            self._servers,
            self._base,
            self._wholes,
            settings=self._settings,
            kills=self._options.kills,
            seconds=self._options.seconds,
            seed=self._options.seed,
        )
        return {"runs": count}

    def calls(self) -> dict[str, Any]:
        stride = self._options.stride
        tiny = Attempt("", job="tiny")
        wanderer = Attempt("", job="wanderer", settings={"compile": False})
        job = Attempt("", settings={"compile": False, "network": "dense"})

        def count(attempt: Attempt, **how: Any) -> CallCount:
            return count_calls(self._servers, self._base, attempt, **how)

        return {
            "calls": count(tiny, stride=stride),
            "calls of the wanderer": count(wanderer, stride=stride * _COARSER),
            "saves": count(job, stride=stride, kind="save"),
            "saves of the wanderer": count(wanderer, stride=stride, kind="save"),
        }

    def disk(self) -> dict[str, Any]:
        stride = self._options.stride
        disk = count_broken(self._servers, self._base, stride=stride)
        home, each = self._options.home.absolute(), 1 if stride == 1 else _FULL
        full = count_full(self._options.backend, home, each=each)
        return {"disk": disk} | ({} if full is None else {"full disk": full})

    def asked(self) -> dict[str, Any]:
        count = count_asked(
            self._servers[0],
            self._base,
            self._wholes,
            settings=self._settings,
            rounds=self._options.rounds,
            seed=self._options.seed,
        )
        return {"asked": count}

    def changed(self) -> dict[str, Any]:
        whole = self._wholes["dense"]
        return {"changed": count_changed(self._servers, self._base, whole)}

    def items(self) -> dict[str, Any]:
        stride = max(1, self._options.stride // _FINER)

        def count(job: str, **how: Any) -> ItemCount:
            whole, attempt = self._wholes[job], self._attempt(job)
            how["stride"] = stride
            return count_items(self._servers, self._base, whole, attempt, **how)

        return {
            "items": count("dense", places=PLACES),
            "items of images": count("images", places=PLACES, only=OF_LAYERS),
            "items of the wanderer": count("wanderer", places=WANDERED, compare=apart),
        }


def _keep(options: argparse.Namespace, counts: dict[str, Any]) -> dict[str, Any]:
    """Write down what was counted so far; give it."""
    results: dict[str, Any] = {}
    kept = options.out / "faults-checkpoints.json"
    if kept.exists():
        results |= json.loads(kept.read_text())
    results |= {name: asdict(count) for name, count in counts.items()}
    results["compiled"] = not options.eager
    results["machine"] = report.machine(options.backend)
    report.write(options.out / f"faults-{options.backend}.json", results)
    return results


def _commit(home: Path) -> float:
    folder = home.absolute() / "commits"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        return commit_milliseconds(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
