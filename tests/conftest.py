"""What every test can rely on: one backend, no user settings, fresh seeds.

The backend of a run is ``KERAS_BACKEND``, as for any Keras program: one process, one
backend. ``make test`` runs the suite once on each. Tests that know no framework are
listed in the Makefile (``ONCE``) and run in the first process only; such tests in other
files are marked ``once``.
"""

import itertools
import os
import shutil
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_TESTS = Path(__file__).resolve().parent
_SOURCE = _TESTS.parent / "src"
_LEAN = _TESTS / "lean"

_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30


def _keep_folders_in_memory() -> None:
    """Let all temporary folders lie where an fsync costs nothing, if there is room.

    Many tests save at each step, and waited for the disk most of their time. What is
    said of power cuts and of disks that fail is tried on recorded and on broken calls.
    """
    is_chosen = "TMPDIR" in os.environ  # by the user, or by the process above
    if not is_chosen and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # so that it is looked up again


_keep_folders_in_memory()

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
# Commands that a test starts find the same source that the test imports, and none of
# what only slows them down. They write nothing beside it.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(_SOURCE), str(_LEAN), os.environ.get("PYTHONPATH")])
)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


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
    "tests/cli/test_mnist.py",
)


_BACKENDS = ("jax", "tensorflow", "torch")
# A step is compiled in a tenth of the time on JAX: most turns are there.
_TURNS = ("jax", "tensorflow", "jax", "torch", "jax")


def pytest_configure(config: pytest.Config) -> None:
    """Explain the marks of this suite."""
    config.addinivalue_line(
        "markers",
        f"in_turn(of={_TURNS}, most=None): each case of the test on one backend, the "
        "next one on the next, and on each at most so many; with TURNS=all in the "
        "environment all of them on each.",
    )
    config.addinivalue_line(
        "markers",
        f"once(on={_BACKENDS[0]!r}): the test runs on this backend alone, since little "
        "in it depends on which; with TURNS=all in the environment on each.",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Take turns, put the longest files first, and leave the others in their order."""
    # Whoever names a test wants it here and now.
    is_named = config.option.keyword or any("::" in word for word in config.args)
    if os.environ.get("TURNS") != "all" and not is_named:
        _take_turns(items)
    places = {path: place for place, path in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.location[0], len(places)))


def _take_turns(items: list[pytest.Item]) -> None:
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    here = os.environ["KERAS_BACKEND"]
    for item in items:
        if mark := item.get_closest_marker("once"):
            on = mark.kwargs.get("on", _BACKENDS[0])
            if on != here:
                item.add_marker(pytest.mark.skip(reason=f"once, on {on}"))
        if item.get_closest_marker("in_turn"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for test, all_cases in cases.items():
        mark = all_cases[0].get_closest_marker("in_turn")
        assert mark is not None
        of = mark.kwargs.get("of", _TURNS)
        mine: list[pytest.Item] = []
        # What has one case alone is shared out, too: not all of that is on the first.
        for place, item in enumerate(all_cases, zlib.crc32(test.encode())):
            if (turn := of[place % len(of)]) == here:
                mine.append(item)
            else:
                item.add_marker(pytest.mark.skip(reason=f"its turn is on {turn}"))
        chosen = _spread(len(mine), mark.kwargs.get("most"))
        for place, item in enumerate(mine):
            if place not in chosen:
                reason = "others stand for it, but with TURNS=all"
                item.add_marker(pytest.mark.skip(reason=reason))


def _spread(count: int, most: int | None) -> list[int]:
    """Return at most so many places, the first of as many equal parts."""
    chosen = count if most is None else min(count, most)
    return [place * count // chosen for place in range(chosen)]


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


@pytest.fixture(scope="session")
def turns(backend) -> Callable[[], Iterator[int]]:
    """Return what counts the places that have their turn on this backend, from 1 on."""
    if os.environ.get("TURNS") == "all":
        return lambda: itertools.count(1)
    first = 1 + _BACKENDS.index(backend)
    return lambda: itertools.count(first, len(_BACKENDS))


@pytest.fixture(autouse=True)
def fresh_seeds() -> None:
    """Start each test from the same random state, whatever ran before it."""
    # Where no test has imported Keras there is nothing to reset, and no reason to wait
    # for its import.
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(0)
