"""How a contender is asked: for which workload, and one epoch for each line."""

import sys
import time
from collections.abc import Callable

from contenders.workloads import WORKLOADS, Workload


def asked_for() -> Workload:
    """Returns the workload that is named on the command line; else the digits."""
    return WORKLOADS[sys.argv[1] if len(sys.argv) > 1 else "digits"]


def serve(epoch: Callable[[], None]) -> None:
    """Runs one epoch for each line on standard input, and prints its seconds."""
    for _ in sys.stdin:
        begin = time.perf_counter()
        epoch()
        print(f"seconds {time.perf_counter() - begin:.6f}", flush=True)
