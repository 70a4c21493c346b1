"""What must be true of this machine before the first step, checked before it.

A run that would fail after an hour because of its folder, or after a slow import
because of its backend, fails here at once. Nothing here imports a framework.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ownloop.cache import WORTH_KEEPING_SECONDS, compiled_folder
from ownloop.cli.arguments import BACKENDS
from ownloop.errors import BackendError, OwnloopError


def installed_backends() -> list[str]:
    """Returns the backends whose package can be found, in the order of preference."""
    return [name for name in BACKENDS if find_spec(name) is not None]


def choose_backend(wanted: str | None) -> str:
    """Returns the backend to use in this process.

    A file `keras.json` has no say: Keras writes one by itself, with "tensorflow" in
    it, so it is no sign of what somebody wants.

    Args:
        wanted: The user's word. None stands for KERAS_BACKEND, and without that for the
            first one that is installed.

    Raises:
        BackendError: It is unknown or not installed, or none is installed.
    """
    name = wanted or os.environ.get("KERAS_BACKEND")
    found = installed_backends()
    if not name:
        if not found:
            raise BackendError(
                f"No backend is installed in {sys.executable}; ownloop trains on one "
                f"of {', '.join(BACKENDS)}; {_how_to_install('jax')}."
            )
        return found[0]
    if name not in BACKENDS:
        raise BackendError(
            f"KERAS_BACKEND is {name!r}; expected one of {', '.join(BACKENDS)}; "
            "set it to one of these, or write --backend jax."
        )
    if name not in found:
        other = f", or choose one that is: {', '.join(found)}" if found else ""
        raise BackendError(
            f"The backend {name!r} is not installed in {sys.executable}; it must "
            f"be found there; {_how_to_install(name)}{other}."
        )
    return name


def use_backend(name: str) -> None:
    """Makes Keras use the backend `name`, in this process, from its import on.

    Raises:
        BackendError: Keras was imported already and uses another one.
    """
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != name:
        raise BackendError(
            f"Keras already runs on {keras.backend.backend()!r} in this process; the "
            f"backend {name!r} was expected; start a new process for it."
        )
    os.environ["KERAS_BACKEND"] = name
    # From the start, so that what draws the first weights is found compiled as well.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(compiled_folder("jax")))
    os.environ.setdefault(
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(WORTH_KEEPING_SECONDS)
    )
    # TensorFlow's remarks on the processor would stand between the printed lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def require_package(name: str, *, extra: str, purpose: str) -> None:
    """Refuses to start without an optional package that the job's end needs.

    Raises:
        OwnloopError: It is not installed.
    """
    if find_spec(name) is None:
        raise OwnloopError(
            f"The package {name!r} is not installed in {sys.executable}; it is needed "
            f"to {purpose}; {_how_to_install(extra)}."
        )


def require_sqlite() -> None:
    """Refuses to start on a Python without SQLite, in which histories are kept.

    Raises:
        OwnloopError: Python was built without it.
    """
    if find_spec("_sqlite3") is None:
        raise OwnloopError(
            f"The Python in {sys.executable} has no SQLite; its module sqlite3 is "
            "needed to keep and read the history of a run; use a Python that was "
            "built with it."
        )


def require_writable(folder: Path) -> None:
    """Makes `folder` and proves, with a file that is removed again, that it is ours.

    Raises:
        OwnloopError: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OwnloopError(
            f"Cannot write to --out {str(folder)!r} ({error.strerror}); expected a "
            "folder that exists or can be made; choose another, such as "
            "--out runs/mnist."
        ) from error


def _how_to_install(extra: str) -> str:
    return f'pip install "ownloop[{extra}]"'
