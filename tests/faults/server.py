"""Children that attempt a run, one after the other, asked for from here."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import final

from faults.attempts import Attempt, Outcome


@final
class Server:
    """Makes attempts, one at a time, in forks of a process of its own.

    Args:
        backend: the one that Keras runs on there.
        home: where compiled programs are kept between attempts.

    Attributes:
        environment: in which it runs.
    """

    def __init__(self, backend: str, home: Path) -> None:
        here = Path(__file__).resolve()
        path = [str(here.parents[1]), str(here.parents[2] / "src"), *sys.path]
        self.environment = os.environ | {
            "KERAS_BACKEND": backend,
            "KERAS_HOME": str(home / "keras"),
            "OWNLOOP_CACHE": str(home / "ownloop"),
            "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.child"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def attempt(self, attempt: Attempt) -> Outcome:
        """Let a child try, and wait for what comes of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(attempt)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the server ended: {self._process.wait()}")
        told = json.loads(line)
        return Outcome(**told | {"notices": tuple(told["notices"])})

    def close(self) -> None:
        """End the process."""
        # Without its input it ends by itself.
        self._process.communicate()

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
