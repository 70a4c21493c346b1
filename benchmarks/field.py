"""Seconds per epoch: ownloop next to what people write today, workload by workload.

    make bench                                   the digits
    make bench ARGS="--rounds 3 --only ours-jax jax-scan"
    make bench-all                               all workloads, all contenders

Each contender is a process of its own (a Keras backend is chosen once per process). It
loads the same data, compiles and runs one epoch that does not count; then all of them
are asked in turn for one epoch, round after round, another one first each time, so that
a noisy moment falls on each alike. Printed are the median, the quartiles, and how long
ours takes for each second of the other, on the same framework: the median of the
ratios within a round, and their quartiles.

Epochs are training alone: the same examples in a new order each time, with each step's
loss, and the accuracy, kept.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from contenders.workloads import WORKLOADS
from machine import machine, spread

HERE = Path(__file__).parent

OURS, HAND, FIT, LIBRARY, FLOOR = "ours", "by hand", "Keras fit", "library", "floor"


@dataclass(frozen=True)
class Contender:
    """One way to train.

    kind: what it is compared as. brief: whether `make bench` runs it. slow: whether it
    takes so long that two rounds must do. only: the one workload that it knows.
    looks: whether Python reads the loss after every step.
    """

    name: str
    file: str
    backend: str
    kind: str
    words: str
    settings: dict[str, str] = field(default_factory=dict)
    brief: bool = True
    slow: bool = False
    only: str | None = None
    looks: bool = False


def _ours(backend: str, framework: str) -> Iterable[Contender]:
    yield Contender(f"ours-{backend}", "ours", backend, OURS, f"ownloop, {framework}")


CONTENDERS = (
    Contender(
        "floor", "torch_floor", "torch", FLOOR, "products and Adam", only="digits"
    ),
    *_ours("jax", "JAX"),
    Contender("jax-scan", "jax_loop", "jax", HAND, "lax.scan"),
    Contender(
        "keras-scan", "keras_scan", "jax", HAND, "lax.scan, Keras' layers", brief=False
    ),
    Contender("jax-step", "jax_loop", "jax", HAND, "jitted step", {"LOOP": "step"}),
    Contender(
        "fit-jax-32",
        "keras_fit",
        "jax",
        FIT,
        "fit, 32 steps per execution",
        {"STEPS_PER_EXECUTION": "32"},
    ),
    Contender("fit-jax", "keras_fit", "jax", FIT, "fit", brief=False),
    *_ours("tensorflow", "TensorFlow"),
    Contender(
        "tf-jit",
        "textbook",
        "tensorflow",
        HAND,
        "tf.function, jit",
        {"TEXTBOOK": "jit"},
    ),
    Contender(
        "tf-function",
        "textbook",
        "tensorflow",
        HAND,
        "tf.function",
        {"TEXTBOOK": "function"},
    ),
    Contender(
        "tf-step",
        "tf_loop",
        "tensorflow",
        HAND,
        "jit, data in memory",
        {"LOOP": "step"},
    ),
    Contender(
        "tf-epoch",
        "tf_loop",
        "tensorflow",
        HAND,
        "jit, an epoch in one call",
        {"LOOP": "epoch"},
    ),
    Contender(
        "tf-graph",
        "tf_loop",
        "tensorflow",
        HAND,
        "the same without XLA",
        {"LOOP": "graph"},
        brief=False,
    ),
    Contender("textbook", "textbook", "tensorflow", HAND, "textbook, eager", slow=True),
    Contender(
        "fit-tensorflow-32",
        "keras_fit",
        "tensorflow",
        FIT,
        "fit, 32 steps per execution",
        {"STEPS_PER_EXECUTION": "32"},
        brief=False,
    ),
    Contender("fit-tensorflow", "keras_fit", "tensorflow", FIT, "fit"),
    *_ours("torch", "PyTorch"),
    Contender("torch-loop", "torch_loop", "torch", HAND, "fused Adam"),
    Contender(
        "torch-compile",
        "torch_loop",
        "torch",
        HAND,
        "fused Adam, torch.compile",
        {"COMPILE": "1"},
    ),
    Contender(
        "fabric", "fabric_loop", "torch", LIBRARY, "Lightning Fabric", brief=False
    ),
    Contender("lightning", "lightning_fit", "torch", LIBRARY, "Lightning", brief=False),
    Contender("ignite", "ignite_engine", "torch", LIBRARY, "Ignite", brief=False),
    Contender("fit-torch", "keras_fit", "torch", FIT, "fit"),
)

LOOKING = (
    *(
        Contender(
            f"ours-{backend}-1",
            "ours",
            backend,
            OURS,
            "ownloop, every=1",
            {"EVERY": "1"},
            brief=False,
            looks=True,
        )
        for backend in ("jax", "tensorflow", "torch")
    ),
    Contender(
        "jax-look",
        "jax_loop",
        "jax",
        HAND,
        "jitted step, loss read",
        {"LOOP": "look"},
        brief=False,
        looks=True,
    ),
    Contender(
        "tf-look",
        "textbook",
        "tensorflow",
        HAND,
        "tf.function, jit, loss read",
        {"TEXTBOOK": "jit", "LOOK": "1"},
        brief=False,
        looks=True,
    ),
    Contender(
        "torch-look",
        "torch_loop",
        "torch",
        HAND,
        "fused Adam, loss read",
        {"LOOK": "1"},
        brief=False,
        looks=True,
    ),
)
"""Python looks after every step.

Those by hand are compared with ours that looks, and that one with ours that does not.
"""


class Worker:
    """A contender's process: it answers each line with the seconds of one epoch."""

    def __init__(self, contender: Contender, workload: str) -> None:
        self.contender = contender
        self.seconds: list[float | None] = []
        self._workload = workload
        environment = {
            **os.environ,
            **contender.settings,
            "KERAS_BACKEND": contender.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"contenders.{contender.file}", workload],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def epoch(self) -> float:
        """Asks for one epoch; returns its seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("epoch\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.startswith("seconds "):
                return float(line.split()[1])
        settings = " ".join(f"{k}={v}" for k, v in self.contender.settings.items())
        raise SystemExit(
            f"{self.contender.name} ended early. Run it by hand to see why: cd "
            f"benchmarks; KERAS_BACKEND={self.contender.backend} {settings} python -m "
            f"contenders.{self.contender.file} {self._workload}, and type a line."
        )

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()  # Lightning hears no SIGTERM
        self._process.wait()


def race(workload: str, contenders: list[Contender], rounds: int) -> list[Worker]:
    """Runs the rounds of one workload."""
    workers = []
    try:
        for contender in contenders:
            worker = Worker(contender, workload)
            workers.append(worker)
            begin = time.perf_counter()
            worker.epoch()
            seconds = time.perf_counter() - begin
            _say(f"{contender.name} is ready after {seconds:.0f} s")
        for number in range(rounds):
            # Another one begins each round, and each waits for the threads of the last
            # one to go to sleep: what runs after a busy neighbour is slower.
            first = number % len(workers)
            for worker in workers[first:] + workers[:first]:
                time.sleep(0.5)
                left_out = worker.contender.slow and number >= 2
                worker.seconds.append(None if left_out else worker.epoch())
            _say(f"round {number + 1} of {rounds} is done")
    finally:
        for worker in workers:
            worker.close()
    return workers


def report(workload: str, workers: list[Worker]) -> None:
    """Prints a line per contender."""
    print(f"\n{workload}: seconds per epoch on {machine()}")
    head = (
        f"{'':12}{'':32}{'median':>9}{'quartiles':>18}{'ours/it':>10}{'quartiles':>16}"
    )
    print(head)
    ours = {w.contender.name: w.seconds for w in workers}
    for worker in workers:
        contender = worker.contender
        line = f"{contender.backend:12}{contender.words:32}"
        line += f"{spread(_known(worker.seconds)):>27}"
        if contender.kind == FLOOR:
            mine = [w for w in workers if w.contender.kind == OURS]
            best = min(mine, key=lambda w: statistics.median(_known(w.seconds)))
            against = best.seconds
        else:
            by_hand = contender.looks and contender.kind == HAND
            name = f"ours-{contender.backend}" + ("-1" if by_hand else "")
            against = ours.get(name, [])
        line += f"{spread(_ratios(against, worker.seconds)):>26}"
        print(line, flush=True)


def _known(seconds: list[float | None]) -> list[float]:
    return [value for value in seconds if value is not None]


def _ratios(ours: list[float | None], its: list[float | None]) -> list[float]:
    pairs = zip(ours, its, strict=False)
    return [mine / other for mine, other in pairs if mine and other]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Runs the workloads and prints a table for each."""
    everyone = (*CONTENDERS, *LOOKING)
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument(
        "workloads", nargs="*", default=["digits"], help=str([*WORKLOADS])
    )
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--only", nargs="*", choices=[c.name for c in everyone])
    words.add_argument("--all", action="store_true", help="all contenders")
    words.add_argument("--json", type=Path, help="write every figure to this file")
    chosen = words.parse_args()
    figures = {}
    for unknown in set(chosen.workloads) - WORKLOADS.keys():
        words.error(f"unknown workload {unknown!r}; there are {', '.join(WORKLOADS)}")
    for workload in chosen.workloads:
        contenders = [
            c
            for c in everyone
            if c.only in (None, workload)
            and (c.name in chosen.only if chosen.only else c.brief or chosen.all)
        ]
        workers = race(workload, contenders, chosen.rounds)
        report(workload, workers)
        figures[workload] = {w.contender.name: w.seconds for w in workers}
        if chosen.json:
            everything = {"machine": machine(), "seconds": figures}
            chosen.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
