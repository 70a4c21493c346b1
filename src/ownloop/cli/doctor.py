"""`ownloop doctor`: what is installed, what works, and what to install."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import ownloop
from ownloop import machine
from ownloop.cache import cache_folder
from ownloop.cli.arguments import BACKENDS
from ownloop.cli.preflight import choose_backend, installed_backends
from ownloop.cli.probe import Answer
from ownloop.errors import BackendError

_SECONDS_PER_PROBE = 120


def report() -> int:
    """Prints the report; returns 0 if at least one backend works, else 1."""
    _line("ownloop", ownloop.__version__)
    _line("Python", f"{platform.python_version()} ({sys.executable})")
    _line("machine", f"{platform.platform()}, {machine.usable_processors()} processors")
    for title, package in (("Keras", "keras"), ("NumPy", "numpy")):
        _line(title, _version(package))
    print()
    working = [_examine(name) for name in BACKENDS]
    print()
    try:
        chosen = choose_backend(None)
        _line("default", f"{chosen} for ownloop mnist; a script has what Keras chooses")
    except BackendError as error:
        _line("default", str(error))
    _line("C++ compiler", _compiler())
    _line("cache", str(cache_folder()))
    return 0 if any(working) else 1


def _line(title: str, words: str) -> None:
    # Flushed, since the next line may need seconds to be found out.
    print(f"{title:<13}{words}", flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"not installed: pip install {package}"


def _examine(name: str) -> bool:
    if name not in installed_backends():
        _line(name, f'not installed: pip install "ownloop[{name}]"')
        return False
    answer = _probe(name)
    if isinstance(answer, str):
        _line(name, f"installed, but does not work: {answer}")
        return False
    devices = ", ".join(answer["devices"])
    _line(name, f"{answer['version']}, devices {devices}, {answer['threads']} threads")
    return True


def _probe(name: str) -> Answer | str:
    """Asks a framework in a process of its own; returns a text if that goes wrong."""
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ownloop.cli.probe", name],
            capture_output=True,
            text=True,
            timeout=_SECONDS_PER_PROBE,
            env=quiet,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS_PER_PROBE} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not lines:
        return lines[-1] if lines else f"ended with code {done.returncode}"
    answer: Answer = json.loads(lines[-1])
    return answer


def _compiler() -> str:
    if found := machine.compiler():
        return found
    name = machine.compiler_name()
    why = f"no {name} found" if name else "CXX is empty"
    return f"{why}: torch steps run eagerly, slower, same numbers"
