"""Prints the table of the conformance suite from the files that pytest wrote.

    python tests/tape/conformance/report.py jax.xml tensorflow.xml torch.xml

Each file comes from `pytest --junitxml=FILE tests/tape/conformance` on one backend. The
exit status is 1 if a test failed. This file stands alone: it imports nothing of ours.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

MODES = ("eager", "compiled")
OUTCOMES = ("passed", "failed", "skipped")


@dataclass
class Suite:
    """What one backend's file says."""

    backend: str = "?"
    cases: str = "?"
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    notes: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def note(self, kind: str, reason: str, name: str) -> None:
        self.notes.setdefault(kind, {}).setdefault(reason, []).append(name)

    @property
    def refused(self) -> int:
        """Tests that passed because the tape refused, as it is meant to here."""
        return sum(map(len, self.notes.get("refused", {}).values()))


def read(path: Path) -> Suite:
    """Reads one file."""
    suite = Suite()
    root = ElementTree.parse(path).getroot()
    for entry in root.iter("property"):
        if entry.get("name") == "backend":
            suite.backend = entry.get("value", "?")
        if entry.get("name") == "cases":
            suite.cases = entry.get("value", "?")
    for test in root.iter("testcase"):
        function, _, rest = test.get("name", "").partition("[")
        if "as_on_tensorflow" in function:
            mode = "compiled" if "compiled" in function else "eager"
            _read_test(suite, test, mode, rest.removesuffix("]"))
    return suite


def _read_test(suite: Suite, test: ElementTree.Element, mode: str, name: str) -> None:
    skipped = test.find("skipped")
    if test.find("failure") is not None or test.find("error") is not None:
        suite.counts[mode, "failed"] += 1
        suite.failed.append(f"{mode} {name}")
    elif skipped is not None:
        suite.counts[mode, "skipped"] += 1
        suite.note("skipped", skipped.get("message", ""), f"{mode} {name}")
    else:
        suite.counts[mode, "passed"] += 1
        for entry in test.iter("property"):
            kind, reason = entry.get("name", ""), entry.get("value", "")
            if kind in ("refused", "differs"):
                suite.note(kind, reason, f"{mode} {name}")


def table(suites: list[Suite]) -> list[str]:
    """Returns the lines of the table."""
    heads = [f"{mode} {outcome}" for mode in MODES for outcome in OUTCOMES]
    lines = [f"{'backend':<12}{'cases':>6}" + "".join(f"{h:>18}" for h in heads)]
    for suite in suites:
        numbers = [suite.counts[m, o] for m in MODES for o in OUTCOMES]
        row = "".join(f"{number:>18}" for number in numbers)
        lines.append(f"{suite.backend:<12}{suite.cases:>6}{row}")
    return lines


TITLES = {
    "skipped": "Skipped, and why",
    "refused": "Refused by design (counted as passed): the error says",
    "differs": "Different from TensorFlow on purpose (counted as passed)",
}


def reasons(suites: list[Suite]) -> list[str]:
    """Returns the lines below the table: each reason once, with its cases."""
    lines = []
    for kind, title in TITLES.items():
        lines += ["", title]
        for suite in suites:
            for reason, names in suite.notes.get(kind, {}).items():
                lines.append(f"  {suite.backend}: {reason}")
                lines += [f"      {name}" for name in names]
    return lines


def main(paths: list[str]) -> int:
    """Prints the report; returns the exit status."""
    suites = [read(Path(path)) for path in paths]
    print("\n".join([*table(suites), *reasons(suites)]))
    for suite in suites:
        for name in suite.failed:
            print(f"FAILED on {suite.backend}: {name}")
    missing = [suite.backend for suite in suites if not suite.counts]
    for backend in missing:
        print(f"FAILED on {backend}: no test ran")
    return 1 if missing or any(suite.failed for suite in suites) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
