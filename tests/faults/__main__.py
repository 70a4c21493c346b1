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
from collections.abc import Callable
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
    home, settings = options.home.absolute(), {"compile": not options.eager}
    with ExitStack() as stack:
        base = Path(stack.enter_context(scratch()))
        servers = [
            stack.enter_context(Server(options.backend, home))
            for _ in range(options.workers)
        ]
        wholes = {}
        if {"runs", "asked", "changed", "items"} & set(options.parts):
            for network in NETWORKS:
                own = {**settings, "network": network}
                wholes[network] = reference(servers[0], base, own)

        def runs() -> Any:
            return count_runs(
                servers,
                base,
                wholes,
                settings=settings,
                kills=options.kills,
                seconds=options.seconds,
                seed=options.seed,
            )

        def asked() -> Any:
            return count_asked(
                servers[0],
                base,
                wholes,
                settings=settings,
                rounds=options.rounds,
                seed=options.seed,
            )

        def items_of_images() -> Any:
            own = {**settings, "network": "images"}
            return count_items(servers, base, wholes["images"], own, OF_LAYERS)

        tries: dict[str, dict[str, Callable[[], Any]]] = {
            "runs": {"runs": runs},
            "calls": {
                "calls": lambda: count_calls(servers, base, stride=options.stride)
            },
            "disk": {
                "disk": lambda: count_broken(servers, base, stride=options.stride),
                "full disk": lambda: count_full(options.backend, home),
            },
            "asked": {"asked": asked},
            "changed": {
                "changed": lambda: count_changed(servers, base, wholes["dense"])
            },
            "items": {
                "items": lambda: count_items(servers, base, wholes["dense"], settings),
                "items of images": items_of_images,
            },
        }
        for part in options.parts:
            for name, count in tries.get(part, {}).items():
                begin = time.monotonic()
                if (counted := count()) is not None:
                    counts[name] = counted
                _keep(options, counts)
                took = (time.monotonic() - begin) / 60
                print(f"{options.backend}: {name}, {took:.1f} minutes", flush=True)
    # When the servers are gone, since this is timed.
    if "overhead" in options.parts:
        counts["overhead"] = count_overhead(options.backend)
    return counts


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
