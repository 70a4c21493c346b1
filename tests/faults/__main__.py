"""Tries all faults, and prints one table.

    PYTHONPATH=src:tests python -m faults                   of checkpoints alone
    PYTHONPATH=src:tests python -m faults --backend jax     of whole runs there

The exit code is 1 where anything came otherwise than it must.
"""

import argparse
import json
import shutil
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults import report
from faults.asked import count_asked
from faults.broken import count_broken
from faults.calls import count_calls
from faults.changed import count_changed
from faults.checkpoints import commit_milliseconds, count_checkpoints, is_sound
from faults.full_run import count_full
from faults.items import OF_LAYERS, count_items
from faults.overhead import count_overhead
from faults.runs import NETWORKS, count_runs, reference
from faults.samples import scratch
from faults.server import Server

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
    results, bad = _whole_runs(options)
    kept = options.out / "faults-checkpoints.json"
    if kept.exists():
        results = json.loads(kept.read_text()) | results
    report.write(options.out / f"faults-{options.backend}.json", results)
    print(report.table(options.backend, results))
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


def _whole_runs(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Try what was asked for on one backend; give the counts, and the bad ones."""
    counts: dict[str, Any] = {}
    home = options.home.absolute()
    with ExitStack() as stack:
        base = Path(stack.enter_context(scratch()))
        servers = [
            stack.enter_context(Server(options.backend, home))
            for _ in range(options.workers)
        ]
        settings = {"compile": not options.eager}
        wholes = {}
        if {"runs", "asked", "changed", "items"} & set(options.parts):
            for network in NETWORKS:
                own = {**settings, "network": network}
                wholes[network] = reference(servers[0], base, own)
        if "runs" in options.parts:
            counts["runs"] = count_runs(
                servers,
                base,
                wholes,
                settings=settings,
                kills=options.kills,
                seconds=options.seconds,
                seed=options.seed,
            )
        if "calls" in options.parts:
            counts["calls"] = count_calls(servers, base, stride=options.stride)
        if "disk" in options.parts:
            counts["disk"] = count_broken(servers, base, stride=options.stride)
            full = count_full(options.backend, home)
            counts |= {} if full is None else {"full disk": full}
        if "asked" in options.parts:
            counts["asked"] = count_asked(
                servers[0],
                base,
                wholes,
                settings=settings,
                rounds=options.rounds,
                seed=options.seed,
            )
        if "changed" in options.parts:
            counts["changed"] = count_changed(servers, base, wholes["dense"])
        if "items" in options.parts:
            counts["items"] = count_items(servers, base, wholes["dense"], settings)
            own = {**settings, "network": "images"}
            counts["items of images"] = count_items(
                servers, base, wholes["images"], own, OF_LAYERS
            )
    # When the servers are gone, since this is timed.
    if "overhead" in options.parts:
        counts["overhead"] = count_overhead(options.backend)
    results = {name: asdict(count) for name, count in counts.items()}
    results["compiled"] = not options.eager
    results["machine"] = report.machine(options.backend)
    bad = {name: count for name, count in counts.items() if not count.is_sound}
    return results, bad


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
