"""What every test can rely on: one backend, no user settings, fresh seeds.

The backend of a run is ``KERAS_BACKEND``, as for any Keras program: one process, one
backend. ``make test`` runs the suite once on each. Tests that know no framework are
listed in the Makefile (``ONCE``) and run in the first process only.
"""

import os
import sys
import tempfile
from pathlib import Path

import pytest

_SOURCE = Path(__file__).resolve().parents[1] / "src"


# Here and not in a fixture: Keras reads these once, when the first test module that
# needs it is imported. The empty home hides the user's keras.json (floatx and more).
_HOME = tempfile.TemporaryDirectory(prefix="ownloop-keras-")
os.environ["KERAS_HOME"] = _HOME.name
os.environ.setdefault("KERAS_BACKEND", "jax")
# What JAX compiles is kept for the children and later tests of this process alone:
# what an earlier run has compiled must not decide what this one sees.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(_HOME.name, "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
# Commands that a test starts find the same source that the test imports.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH")])
)


# Begun first, so that no worker is left alone with one of them at the end.
_LONGEST = (
    "tests/examples/test_examples.py",
    "tests/resume/test_streams.py",
    "tests/resume/test_programs_of_one_step.py",
    "tests/laws/test_optimizers_and_layers.py",
    "tests/tape/conformance/test_conformance.py",
    "tests/laws/test_a_killed_run_ends_the_same.py",
    "tests/resume/test_shared_data.py",
    "tests/resume/test_models.py",
    "tests/test_readme.py",
    "tests/laws/test_step_is_the_hand_written_step.py",
    "tests/loop/test_continuation.py",
    "tests/loop/test_resume_check.py",
    "tests/faults/test_runs.py",
    "tests/cli/test_mnist.py",
    "tests/faults/test_broken.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and leave the others in their order."""
    places = {path: place for place, path in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.location[0], len(places)))


def pytest_report_header() -> str:
    """Name the backend at the top of the report."""
    return f"keras backend: {os.environ['KERAS_BACKEND']}"


def pytest_unconfigure() -> None:
    """Remove the temporary Keras home."""
    _HOME.cleanup()


@pytest.fixture(scope="session")
def backend() -> str:
    """Return the name of this process's backend."""
    return os.environ["KERAS_BACKEND"]


@pytest.fixture(autouse=True)
def fresh_seeds() -> None:
    """Start each test from the same random state, whatever ran before it."""
    # Where no test has imported Keras there is nothing to reset, and no reason to wait
    # for its import.
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)
