"""The handwritten-digit job against a published run of it: the mean of three seeds.

    make accuracy                  all backends
    make accuracy BACKENDS=jax     one of them

Runs the command line's job, reads the histories that it wrote, and fails where a mean
lies further than 0.004 from the published figure.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

BOUND = 0.004
PUBLISHED = (
    ("val_accuracy", 1, 0.947),
    ("val_accuracy", 3, 0.967),
    ("val_accuracy", 10, 0.976),
    ("train_accuracy", 10, 0.997),
)


def history(backend: str, seed: int, folder: Path) -> dict[str, list[float]]:
    """Trains for ten epochs; returns the columns of the epochs."""
    out = folder / f"{backend}-{seed}"
    command = ["ownloop", "mnist", "--backend", backend, "--seed", str(seed)]
    command[:1] = [sys.executable, "-m", "ownloop"]
    subprocess.run([*command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    columns: dict[str, list[float]] = json.loads((out / "history.json").read_text())[
        "epochs"
    ]
    return columns


def main() -> int:
    """Prints a line per figure; returns 1 where one is too far off."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    words.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    words.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    chosen = words.parse_args()
    off = 0
    print(
        f"{'backend':11} {'column':15} {'epoch':>5} {'published':>9} {'ours':>7}  seeds"
    )
    for backend in chosen.backends:
        runs = [history(backend, seed, chosen.out) for seed in chosen.seeds]
        for column, epoch, published in PUBLISHED:
            found = [run[column][epoch - 1] for run in runs]
            mean = statistics.mean(found)
            verdict = "" if abs(mean - published) <= BOUND else "  TOO FAR"
            off += bool(verdict)
            each = " ".join(f"{value:.4f}" for value in found)
            print(
                f"{backend:11} {column:15} {epoch:5} {published:9.3f} {mean:7.4f}  "
                f"{each}{verdict}",
                flush=True,
            )
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
