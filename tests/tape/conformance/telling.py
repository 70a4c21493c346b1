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

    It works on while the tests run; a test waits only where it is ahead of the oracle.
    Where TensorFlow crashes in it, which none of our code is in, it is started again
    behind what it has told; twice at one case it is not.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self._told: dict[str, Outcome] = {}
        self._crashed_at = ""

    def __enter__(self) -> Self:
        self._start(self.names)
        return self

    def _start(self, names: list[str]) -> None:
        here = Path(__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
        environment = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": path}
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - see `_end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conformance.oracle", *names],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def outcome(self, name: str) -> Outcome:
        """Returns TensorFlow's outcome of a case, as soon as it is there."""
        while name not in self._told:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                self._go_on_behind_a_crash(name)
                continue
            told = json.loads(line)
            self._told[told["name"]] = told["outcome"]
        return self._told[name]

    def _go_on_behind_a_crash(self, name: str) -> None:
        left = [other for other in self.names if other not in self._told]
        at = left[0] if left else ""
        ended = self._process.wait()
        if ended >= 0 or at in ("", self._crashed_at):
            self._complaints.seek(0)
            raise AssertionError(
                f"The oracle ended with {ended} before it told of {name}:\n"
                f"{self._complaints.read()[-3000:]}"
            )
        self._crashed_at = at
        self._end()
        self._start(left)
