"""Runs the cases on TensorFlow's own tape and prints each outcome as a line of JSON.

    KERAS_BACKEND=tensorflow python -m conformance.oracle [CASE ...]

Without names all cases are run, in their order. The tests read the lines as they come,
so that TensorFlow works on the next cases meanwhile.
"""

import json
import os
import sys


def main(names: list[str]) -> None:
    """Prints one line per case: its name and its outcome."""
    # Whatever a case or a framework prints must not come between the lines.
    lines = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    from conformance.cases import CASES
    from conformance.native import native
    from conformance.runner import run_eagerly

    dialect = native()
    for name in names or CASES:
        found = run_eagerly(CASES[name], dialect)
        lines.write(json.dumps({"name": name, "outcome": found}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
