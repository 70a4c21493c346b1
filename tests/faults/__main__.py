"""Prints what all faults came to, one line for each kind, as JSON where asked for.

PYTHONPATH=src:tests python -m faults [--json]
"""

import json
import sys
from dataclasses import asdict

from faults.corruption import count_corruptions
from faults.crashes import CrashCount, count_crashes, record, record_kills
from faults.failures import count_failures
from faults.full_disk import fill_a_file_system, limit_the_size_of_files
from faults.hostile import count_hostile
from faults.kills import count_kills
from faults.mutants import EQUIVALENT, MUTANTS, count_mutants, count_restarts

trace = record()
killed = list(record_kills())
counts = {
    "kills": count_kills(),
    "crashes": count_crashes(trace),
    "crashes, killed": sum(map(count_crashes, killed), CrashCount()),
    "mutants": count_mutants(trace, MUTANTS),
    "mutants, killed": count_restarts(killed),
    "equivalent": count_mutants(trace, EQUIVALENT),
    "failures": count_failures(),
    "full file system": fill_a_file_system(),
    "limited files": limit_the_size_of_files(),
    "corruption": count_corruptions(),
    "hostile": count_hostile(),
}
if "--json" in sys.argv[1:]:
    print(json.dumps({name: count and asdict(count) for name, count in counts.items()}))
else:
    for name, count in counts.items():
        print(f"{name:17} {count}")
