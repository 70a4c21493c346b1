"""What all faults of checkpoints alone came to, and how long a commit takes."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from faults.corruption import count_corruptions
from faults.crashes import count_crashes, record
from faults.failures import count_failures
from faults.full_disk import fill_a_file_system, limit_the_size_of_files
from faults.hostile import MEMORY_LIMIT, count_hostile
from faults.kills import count_kills
from faults.mutants import EQUIVALENT, MUTANTS, count_mutants
from faults.run_crashes import (
    RunCrashCount,
    count_run_crashes,
    record_killed_runs,
    record_run,
)
from faults.run_mutants import RUN_MUTANTS, count_run_mutants, count_run_restarts
from faults.samples import RUN
from ownloop.checkpoints import Checkpoint, Entry, Store

_HUNDRED_MB = 25_000_000
"""float32 values."""


def count_checkpoints() -> dict[str, Any]:
    """Try every fault, and give the counts by kind; None for what cannot be tried."""
    trace, run = record(), record_run()
    killed = list(record_killed_runs(stride=2))
    counts = {
        "kills": count_kills(),
        "crashes": count_crashes(trace),
        "mutants": count_mutants(trace, MUTANTS),
        "equivalent": count_mutants(trace, EQUIVALENT),
        "run crashes": count_run_crashes(run),
        "run crashes after kills": sum(map(count_run_crashes, killed), RunCrashCount()),
        "run mutants": count_run_mutants(run, RUN_MUTANTS),
        "run mutants after kills": count_run_restarts(killed),
        "failures": count_failures(),
        "full file system": fill_a_file_system(),
        "limited files": limit_the_size_of_files(),
        "corruption": count_corruptions(),
        "hostile": count_hostile(),
    }
    return {name: count and asdict(count) for name, count in counts.items()}


def is_sound(counts: Mapping[str, Any]) -> bool:
    """Whether all came as it must; `tests/checkpoints/test_faults.py` says how."""
    kills, failures, hostile = (counts[n] for n in ("kills", "failures", "hostile"))
    must_be_none = [
        *(kills[word] for word in ("other", "damaged", "stuck")),
        *(counts["crashes"][word] for word in ("torn", "lost", "broken")),
        *(
            counts[name][word]
            for name in ("run crashes", "run crashes after kills")
            for word in ("refused", "lost", "short")
        ),
        failures["silent"],
        len(counts["corruption"]["silent"]),
        *(len(hostile[word]) for word in ("accepted", "opened", "ran")),
    ]
    must_be_all = [
        (failures["survived"], failures["points"]),
        (counts["corruption"]["detected"], counts["corruption"]["cases"]),
        (hostile["refused"], hostile["cases"]),
        *(
            (counts[name]["killed"], counts[name]["mutants"])
            for name in ("mutants", "run mutants", "run mutants after kills")
        ),
    ]
    disks = [counts[name] for name in ("full file system", "limited files")]
    return (
        not any(must_be_none)
        and all(found == wanted > 0 for found, wanted in must_be_all)
        and hostile["peak"] < MEMORY_LIMIT
        # None where such a disk cannot be made.
        and all(disk is None or (disk["kept"] and disk["went_on"]) for disk in disks)
    )


def commit_milliseconds(folder: Path, *, rounds: int = 5) -> float:
    """Measure how long it takes to commit 100 MB to a real disk, in the median."""
    array = np.random.default_rng(0).random(_HUNDRED_MB, "float32")
    store = Store(folder, run=RUN)
    seconds = []
    for step in range(rounds):
        begin = time.perf_counter()
        name = store.commit(
            Checkpoint(step, {"model/0": Entry(array, "trainable")}, {})
        )
        seconds.append(time.perf_counter() - begin)
        store.prune([name])
    return round(1000 * statistics.median(seconds), 1)
