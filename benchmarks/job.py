"""Seconds per epoch of the handwritten-digit job: ours next to what people write today.

    make bench                       all contenders
    make bench ARGS="--rounds 3 --only ours-jax jax-scan"

Each contender is a process of its own (a Keras backend is chosen once per process). It
loads the same data, compiles and runs one epoch that does not count; then all of them
are asked in turn for one epoch, round after round, another one first each time, so that
a noisy moment falls on each alike. Printed are the median and the range, and the median
ratio to ours on the same framework, round by round. Epochs are training alone: 50,000
examples in a new order, batches of 32, the last of 16, loss and accuracy kept.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Contender:
    """One way to train: its file, its backend, and whom it is compared with."""

    name: str
    file: str
    backend: str
    against: str
    words: str
    slow: bool = False


CONTENDERS = (
    Contender("ours-jax", "ours", "jax", "ours-jax", "ownloop on JAX"),
    Contender("jax-scan", "jax_scan", "jax", "ours-jax", "hand-written JAX, lax.scan"),
    Contender("fit-jax", "keras_fit", "jax", "ours-jax", "Keras fit on JAX"),
    Contender(
        "ours-tensorflow", "ours", "tensorflow", "ours-tensorflow", "ownloop on TF"
    ),
    Contender(
        "tf-function",
        "textbook_function",
        "tensorflow",
        "ours-tensorflow",
        "textbook loop under tf.function",
    ),
    Contender(
        "fit-tensorflow",
        "keras_fit",
        "tensorflow",
        "ours-tensorflow",
        "Keras fit on TF",
    ),
    Contender(
        "textbook",
        "textbook",
        "tensorflow",
        "ours-tensorflow",
        "textbook loop, eager GradientTape",
        slow=True,
    ),
    Contender("ours-torch", "ours", "torch", "ours-torch", "ownloop on PyTorch"),
    Contender(
        "torch-loop",
        "torch_loop",
        "torch",
        "ours-torch",
        "hand-written PyTorch, fused Adam",
    ),
    Contender("fit-torch", "keras_fit", "torch", "ours-torch", "Keras fit on PyTorch"),
)


class Worker:
    """A contender's process: it answers each line with the seconds of one epoch."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.seconds: list[float] = []
        environment = {
            **os.environ,
            "KERAS_BACKEND": contender.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"contenders.{contender.file}"],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def epoch(self) -> float:
        """Asks for one epoch; returns its seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise RuntimeError(
            f"{self.contender.name} ended early. Run it by hand to see why: "
            f"cd benchmarks; KERAS_BACKEND={self.contender.backend} "
            f"python -m contenders.{self.contender.file}, and type a line."
        )

    def close(self) -> None:
        """Ends the process."""
        self.process.terminate()
        self.process.wait()


def main() -> None:
    """Runs the rounds and prints the table."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--slow-rounds", type=int, default=2)
    words.add_argument("--only", nargs="*", choices=[c.name for c in CONTENDERS])
    words.add_argument("--json", type=Path, help="write every figure to this file")
    chosen = words.parse_args()
    workers = [
        Worker(c) for c in CONTENDERS if chosen.only is None or c.name in chosen.only
    ]
    try:
        for worker in workers:
            begin = time.perf_counter()
            worker.epoch()
            print(
                f"{worker.contender.words}: ready, first epoch in "
                f"{time.perf_counter() - begin:.0f} s with imports and compilation",
                flush=True,
            )
        for number in range(chosen.rounds):
            # Another one begins each round, and each waits for the threads of the last
            # one to go to sleep: what runs after a busy neighbour is slower.
            first = number % len(workers)
            for worker in workers[first:] + workers[:first]:
                time.sleep(0.5)
                if not worker.contender.slow or number < chosen.slow_rounds:
                    worker.seconds.append(worker.epoch())
            print(f"round {number + 1} of {chosen.rounds} done", flush=True)
    finally:
        for worker in workers:
            worker.close()
    report(workers)
    if chosen.json:
        figures = {w.contender.name: w.seconds for w in workers}
        chosen.json.write_text(json.dumps(figures, indent=2))


def report(workers: list[Worker]) -> None:
    """Prints a line per contender."""
    print(f"\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(
        f"{'contender':36} {'s/epoch':>8} {'range':>15} {'ours/it':>8} {'it/ours':>8}"
    )
    ours = {w.contender.name: w.seconds for w in workers}
    for worker in workers:
        median = statistics.median(worker.seconds)
        spread = f"{min(worker.seconds):.2f}-{max(worker.seconds):.2f}"
        line = f"{worker.contender.words:36} {median:8.2f} {spread:>15}"
        against = ours.get(worker.contender.against)
        if against:
            # Round by round: both figures come from the same stretch of time.
            pairs = zip(against, worker.seconds, strict=False)
            ratio = statistics.median(mine / theirs for mine, theirs in pairs)
            line += f" {ratio:8.3f} {1 / ratio:8.2f}"
        print(line)


if __name__ == "__main__":
    main()
