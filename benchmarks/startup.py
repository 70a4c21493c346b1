"""Seconds from the command to the first line of training that it prints.

    python benchmarks/startup.py

`ownloop mnist` is started anew each time: "cold" finds nothing compiled by an earlier
run, "warm" does. The digits are on the disk already, as are the files of the packages
that it imports, after a first start that does not count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine, spread

from ownloop import datasets
from ownloop.cache import cache_folder


def seconds(backend: str, environment: dict[str, str], out: Path) -> float:
    """Starts the command; returns when it printed the first batch, and ends it."""
    command = [sys.executable, "-u", "-m", "ownloop", "mnist", "--epochs", "1"]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--backend", backend, "--out", str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.strip().startswith("batch 0:"):
                return time.perf_counter() - begin
    finally:
        process.kill()
        process.wait()
    raise SystemExit(f"`{' '.join(command)}` on {backend} printed no batch.")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    words.add_argument("--rounds", type=int, default=5)
    chosen = words.parse_args()
    datasets.mnist()
    digits = cache_folder() / "mnist"
    print(f"\nseconds to the first line of training on {machine()}")
    for backend in chosen.backends:
        cold, warm = [], []
        for number in range(chosen.rounds + 1):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "mnist").symlink_to(digits)
                environment = os.environ | {
                    "OWNLOOP_CACHE": name,
                    "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
                }
                figures = [
                    seconds(backend, environment, folder / "out") for _ in range(2)
                ]
            if number:
                cold.append(figures[0])
                warm.append(figures[1])
        print(f"{backend:12} cold {spread(cold, 1):24} warm {spread(warm, 1)}")


if __name__ == "__main__":
    main()
