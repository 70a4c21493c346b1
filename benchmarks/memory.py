"""The most memory that training takes: ours, by hand, and from a file on the disk.

    python benchmarks/memory.py

Each way trains a small network for an epoch in a process of its own, which then says
the largest size that it had, less what it had before the data. "mapped" reads its
examples from a memory-mapped file of `--megabytes`; what it has touched counts here,
but lies in the page cache, which the system takes back when memory is short. "by hand"
is Keras' `train_on_batch` with batches by index.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
WAYS = {
    "ours": "ownloop, arrays",
    "mapped": "ownloop, memory-mapped arrays",
    "hand": "by hand, arrays",
}


def work(way: str, backend: str, megabytes: int, folder: Path) -> tuple[float, float]:
    """Returns the megabytes of the data, and of the process at its largest."""
    done = subprocess.run(
        [sys.executable, str(HERE / "memory_worker.py"), way, str(megabytes)],
        cwd=folder,
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{way} on {backend} failed:\n{done.stderr}")
    data, most = map(float, done.stdout.splitlines()[-1].split())
    return data, most


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    words.add_argument("--megabytes", type=int, default=600)
    chosen = words.parse_args()
    print(f"\nmegabytes at most, above those before the data ({chosen.megabytes} MB)")
    with tempfile.TemporaryDirectory() as name:
        for backend in chosen.backends:
            for way, title in WAYS.items():
                data, most = work(way, backend, chosen.megabytes, Path(name))
                print(f"{backend:12}{title:32}{most:8.0f} MB, {most / data:.2f} x data")


if __name__ == "__main__":
    main()
