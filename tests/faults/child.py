"""A process that has imported a framework, and forks a child for each attempt.

Imports take seconds, and hundreds of runs are killed. What is forked has used nothing
of its framework and has one thread: a fork of more may hang.

    python -m faults.child         one attempt a line, as JSON; one outcome a line
"""

import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from faults import breaking, forgotten, job, tiny, wanderer
from faults.attempts import Attempt, Outcome
from faults.digests import Digests
from faults.moments import Moments, asking, die
from faults.position import Position

PATIENCE_SECONDS = 240.0
"""After so long a child hangs, which is a failure of its own."""

IMPORT_SECONDS = 10.0
"""After so long no thread is one that an import began for a moment."""

_PLAY = {"job": job.play, "wanderer": wanderer.play}


def _serve(answers: int) -> None:
    _await_one_thread()
    for line in sys.stdin:
        told = asdict(_try(Attempt(**json.loads(line))))
        os.write(answers, json.dumps(told).encode() + b"\n")


def _await_one_thread() -> None:
    """Wait until threads that imports began for a moment have ended."""
    tasks = Path("/proc/self/task")
    due = time.monotonic() + IMPORT_SECONDS
    while tasks.exists() and len(names := _names(tasks)) > 1:
        if time.monotonic() > due:
            raise AssertionError(f"threads, of which a fork would have one: {names}")
        time.sleep(0.01)


def _names(tasks: Path) -> list[str]:
    names = []
    for task in tasks.iterdir():
        with suppress(OSError):  # It has just ended.
            names.append(Path(task, "comm").read_text().strip())
    return names


def _try(attempt: Attempt) -> Outcome:
    with tempfile.TemporaryDirectory() as base:
        report, output = Path(base, "report.json"), Path(base, "output")
        output.touch()  # The child may be dead before it gets so far.
        begin = time.monotonic()
        with warnings.catch_warnings():
            # JAX says that it might have threads, which was looked at.
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            _become(attempt, report, output)
        status = _wait(child, begin, attempt.after)
        return _outcome(status, begin, report, output.read_text(errors="replace"))


def _become(attempt: Attempt, report: Path, output: Path) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    status = 1
    try:
        status = _work(attempt, report)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _wait(child: int, begin: float, after: float | None) -> int:
    due = begin + (PATIENCE_SECONDS if after is None else after)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() > due:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            if after is None:
                os.waitpid(child, 0)
                raise AssertionError("a child hangs")
            after, due = None, begin + PATIENCE_SECONDS
        time.sleep(0.001)


def _work(attempt: Attempt, report: Path) -> int:
    """Do what is asked; write down what came; give the exit code."""
    told: dict[str, Any] = {"items": None, "notices": (), "error": ""}
    status, position = 1, Position(lambda step: moments.come_to(step))
    os.environ.update(attempt.environment or {})
    if attempt.processors is not None:
        allowed = sorted(os.sched_getaffinity(0))[: attempt.processors]
        os.sched_setaffinity(0, allowed)
    act = die
    if attempt.signal != "SIGKILL":
        act = asking(attempt.signal, attempt.times, lambda: _note(report, position))
    moments = Moments(attempt.kind, attempt.at, act, settled=attempt.settled)
    try:
        if attempt.forget is not None:
            forgotten.CHANGES[attempt.forget]()
        if attempt.job == "items":
            digests = Digests(forgotten.jobs())
        elif attempt.job == "broken":
            settings = attempt.settings or {}
            digests = breaking.play(Path(attempt.folder), settings, moments.counts)
        elif attempt.job == "tiny":
            moments.wrap_calls()
            digests = tiny.play(Path(attempt.folder))
        else:
            (moments.wrap_calls if attempt.kind == "call" else moments.wrap)()
            settings = {**(attempt.settings or {}), "observers": [position]}
            digests = _PLAY[attempt.job](Path(attempt.folder), **settings)
        told |= asdict(digests)
        status = 0
    except (SystemExit, KeyboardInterrupt) as error:
        # What Python itself makes of these is tried in `asked`, with a real script.
        status = int(error.code or 0) if isinstance(error, SystemExit) else 130
        told["single"] = _is_within(error, "enter_single_steps")
    except BaseException as error:
        traceback.print_exc()
        told["error"] = f"{type(error).__name__}: {error}"
    told["counts"], told["step"] = dict(moments.counts), position.step
    unfinished = report.with_suffix(".new")
    unfinished.write_text(json.dumps(told))
    unfinished.replace(report)
    return status


def _is_within(error: BaseException, function: str) -> bool:
    return any(f.name == function for f in traceback.extract_tb(error.__traceback__))


def _note(report: Path, position: Position) -> None:
    """Write down what is when a signal is sent; told again, the step alone."""
    step, noted = position.step, report.with_suffix(".signal")
    # SIGINT is held back for moments, and has another handler then.
    listening = signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    told = {"time": time.monotonic(), "listening": listening}
    if noted.exists():
        told = json.loads(noted.read_text())
    told["asked"] = step
    unfinished = noted.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(told))
    unfinished.replace(noted)


def _outcome(status: int, begin: float, report: Path, output: str) -> Outcome:
    """Read what a child has written."""
    now = time.monotonic()
    told: dict[str, Any] = {}
    if report.exists():
        told = json.loads(report.read_text())
    told["notices"] = tuple(told.get("notices", ()))
    noted = report.with_suffix(".signal")
    if noted.exists():
        told |= json.loads(noted.read_text())
        told["latency"] = now - told.pop("time")
    code = os.waitstatus_to_exitcode(status)
    return Outcome(code, now - begin, output=output[-3000:], **told)


def _import_all() -> None:
    """Import what children would each import again."""
    name = keras.backend.backend()
    importlib.import_module(name)
    importlib.import_module("ownloop.loop.run_folder")
    if name == "torch":
        importlib.import_module("ownloop.backends.torch.inductor")
    with suppress(ImportError):
        # Keras imports it where an optimizer with a schedule is serialised.
        importlib.import_module("tensorflow")


if __name__ == "__main__":
    # What imports print must not be taken for an answer.
    own = os.dup(1)
    os.dup2(2, 1)
    _import_all()
    _serve(own)
