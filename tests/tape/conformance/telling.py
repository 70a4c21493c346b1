"""Listens to the oracle, a process on TensorFlow that tells outcomes one by one."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from conformance.outcome import Outcome


class Telling:
    """The oracle's process, and what it has told so far.

    It is started once and works on while the tests run; a test waits only where it is
    ahead of the oracle.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._told: dict[str, Outcome] = {}

    def __enter__(self) -> Self:
        here = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
        environment = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": path}
        self._complaints = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conformance.oracle", *self.names],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def outcome(self, name: str) -> Outcome:
        """Returns TensorFlow's outcome of a case, as soon as it is there."""
        assert self._process.stdout is not None
        while name not in self._told:
            line = self._process.stdout.readline()
            if not line:
                self._complaints.seek(0)
                raise AssertionError(
                    f"The oracle ended before it told of {name}:\n"
                    f"{self._complaints.read()[-3000:]}"
                )
            told = json.loads(line)
            self._told[told["name"]] = told["outcome"]
        return self._told[name]
