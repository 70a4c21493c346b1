"""The loops of `examples/` on all backends: what they learn, and that they agree.

    make gallery
    make gallery ARGS="--only gan reinforce --backends jax torch"

Each loop runs on each backend in processes of its own. In one, its `main()` trains it
from start to end. In another, all backends start from the same weights and take the
same batches, in which the random numbers of a step are columns, since equal seeds give
each framework other numbers; then the first 20 losses are compared, and the compiled
step is timed against the same step run eagerly. Printed are

    seconds    of `main()`, compilation included
    learnt     what `main()` returned; the bounds are in `gallery_bounds.py`
    differs    the largest difference between two backends' losses, relative to the
               larger one, over the first 20 steps. Training is chaotic: a number that
               one backend rounds to the other side of a `relu` ends in other losses.
               So where one start exceeds the bound, two others are taken as well, all
               three are printed, and the one in the middle counts
    faster     seconds of an eager step over seconds of a compiled one
    how        how the step ran, and why not as one compiled loop where it did not
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from gallery_bounds import LEARNT

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
BACKENDS = ("jax", "tensorflow", "torch")
BOUND = 1e-4
"""The losses of two backends may differ by so much, in float32."""

BOUNDS = {"mixed_precision": 1e-2}
"""Other bounds: float16 has 11 bits, so one rounding is 5e-4."""


def names() -> list[str]:
    """Returns the names of the loops, in alphabetical order."""
    return sorted(path.stem for path in EXAMPLES.glob("*.py"))


def work(name: str, backend: str, *task: str) -> dict[str, Any]:
    """Returns what one process says: `main` trains the loop, `compare` its steps."""
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MPLBACKEND": "agg",
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(
            [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]
        ),
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "gallery_worker.py"), name, *task],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{task[0]} of {name} on {backend} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def largest_difference(losses: dict[str, dict[str, list[float]]]) -> float:
    """Returns how far two backends are apart at most, relative to the larger loss."""
    worst = 0.0
    columns = list(losses.values())
    for i, one in enumerate(columns):
        for other in columns[i + 1 :]:
            for key in one:
                for a, b in zip(one[key], other[key], strict=True):
                    worst = max(worst, abs(a - b) / max(abs(a), abs(b), 1e-30))
    return worst


def differences(name: str, results: dict[str, dict[str, Any]]) -> list[float]:
    """Returns the largest difference from one start, or from three starts."""
    found = [largest_difference({b: r["losses"] for b, r in results.items()})]
    if found[0] > BOUNDS.get(name, BOUND):
        for start in ("1", "2"):
            others = {b: work(name, b, "losses", start)["losses"] for b in results}
            found.append(largest_difference(others))
    return found


def show(name: str, results: dict[str, dict[str, Any]]) -> bool:
    """Prints the lines of one loop; returns whether all have learnt, and agree."""
    found = differences(name, results)
    difference = statistics.median(found)
    is_well = difference <= BOUNDS.get(name, BOUND)
    starts = ", ".join(f"{value:.1e}" for value in found)
    print(
        f"{name}: losses differ by {difference:.1e}"
        + (f" (three starts: {starts})" if len(found) > 1 else "")
        + ("" if is_well else "  TOO MUCH")
    )
    for backend, result in results.items():
        learnt = ", ".join(
            f"{key} {value:.4g}" for key, value in result["learnt"].items()
        )
        print(
            f"    {backend:10} {result['seconds']:5.1f} s   {result['faster']:5.1f} x "
            f"faster than eager   {result['how']}\n        {learnt}"
            + ("" if LEARNT[name](result["learnt"]) else "  TOO LITTLE"),
            flush=True,
        )
    return is_well and all(LEARNT[name](r["learnt"]) for r in results.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names(), default=names())
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--json", type=Path, help="write all numbers into this file")
    options = parser.parse_args()
    everything: dict[str, Any] = {}
    failed = []
    for name in options.only:
        results = {
            backend: work(name, backend, "main") | work(name, backend, "compare")
            for backend in options.backends
        }
        everything[name] = results
        if not show(name, results):
            failed.append(name)
        if options.json:
            options.json.write_text(json.dumps(everything, indent=1))
    if failed:
        raise SystemExit(f"Backends differ by too much, or learn too little: {failed}")


if __name__ == "__main__":
    main()
