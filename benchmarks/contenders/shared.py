"""How a contender is asked: for which workload, and one epoch for each line."""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

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


def serve_scans(
    job: Workload, examples: int, run: Callable[..., Any], state: Any
) -> None:
    """Serves epochs of a JAX loop: all full batches at once, then what is left.

    Args:
        job: What is trained.
        examples: How many there are; each epoch takes them in a new order.
        run: Takes the state and the rows of some batches; returns the new state, and
            the loss and the number of right answers for each batch, which are fetched.
        state: To begin with.
    """
    generator = np.random.default_rng(0)
    full = examples // job.batch * job.batch

    def epoch() -> None:
        nonlocal state
        order = generator.permutation(examples).astype("int32")
        state, (losses, correct) = run(state, order[:full].reshape(-1, job.batch))
        np.asarray(losses)
        total = int(correct.sum())
        if full < examples:
            state, (losses, correct) = run(state, order[None, full:])
            total += int(correct.sum())
            np.asarray(losses)

    serve(epoch)
