"""Each case on our tape gives what it gives on TensorFlow's own, eager and compiled.

    KERAS_BACKEND=jax python -m pytest tests/tape/conformance

Many cases share one compiled step. On PyTorch, whose compiler is slow, and on
TensorFlow, whose own tape is below ours, only marked cases are compiled; on JAX, which
compiles operations one by one, only those and what cannot be compiled run eagerly.
`CONFORMANCE=all` in the environment, as in `make tape`, runs every case in both ways.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from conformance import outcome
from conformance.case import Case
from conformance.cases import CASES
from conformance.dialect import Dialect, ours
from conformance.outcome import Outcome
from conformance.runner import run_compiled, run_eagerly
from conformance.telling import Telling
from ownloop import errors

BACKEND = os.environ["KERAS_BACKEND"]
EVERY_CASE = os.environ.get("CONFORMANCE") == "all"

COMPILED = [
    case
    for case in CASES.values()
    if EVERY_CASE or case.always_compiled or BACKEND == "jax"
]

EAGER = [
    case
    for case in CASES.values()
    if EVERY_CASE
    or BACKEND != "jax"
    or case.always_compiled
    or case.wide
    or case.why_not_compiled(BACKEND)
]

# Where TensorFlow fails by accident (`None` has no attribute), the name of the error
# says nothing: any complaint of the tape is as good.
ACCIDENTS = {"AttributeError", "LookupError", "IndexError", "AssertionError"}
BUILTINS = {
    name: value
    for name, value in vars(__import__("builtins")).items()
    if isinstance(value, type) and issubclass(value, Exception)
}


@pytest.fixture(scope="session")
def dialect() -> Dialect:
    return ours()


@pytest.fixture(scope="session", autouse=True)
def named_backend(record_testsuite_property: Any) -> None:
    """Says in the report's file which backend it is about."""
    record_testsuite_property("backend", BACKEND)
    record_testsuite_property("cases", len(CASES))


@pytest.fixture(scope="session")
def oracle(request: pytest.FixtureRequest) -> Iterator[Telling]:
    """TensorFlow's own outcomes, for the cases that were selected."""
    found = (
        getattr(getattr(item, "callspec", None), "params", {}).get("case")
        for item in request.session.items
    )
    # Other tests have parameters of this name, too.
    chosen = {case.name for case in found if isinstance(case, Case)}
    with Telling([name for name in CASES if name in chosen]) as telling:
        yield telling


@pytest.fixture(scope="session")
def compiled(dialect: Dialect, oracle: Telling) -> "Compiled":
    """Our outcomes from inside compiled steps."""
    return Compiled(dialect, oracle)


class Compiled:
    """Compiles the cases of a group together when the first of them is asked for."""

    def __init__(self, dialect: Dialect, oracle: Telling) -> None:
        self._dialect = dialect
        self._oracle = oracle
        self._found: dict[str, Outcome] = {}

    def outcome(self, case: Case) -> Outcome:
        if case.name not in self._found:
            group = [
                other
                for other in COMPILED
                if group_of(other) == group_of(case)
                and reason_to_skip(other, compiled=True) is None
                and other.name in self._oracle.names
            ]
            raising = {other.name for other in group if self._raises(other)}
            self._found |= run_compiled(group, self._dialect, raising)
        return self._found[case.name]

    def _raises(self, case: Case) -> bool:
        difference = case.difference(BACKEND)
        return (
            BACKEND in case.refused_on
            or (difference is not None and difference.error is not None)
            or "error" in self._oracle.outcome(case.name)
        )


def group_of(case: Case) -> str:
    """Cases of one group share a step: a category, or most of them on PyTorch."""
    # A branch doubles the graph of the whole step there, and stands alone.
    if BACKEND != "torch" or EVERY_CASE or case.category == "control_flow":
        return case.category
    return "all"


Noted = list[tuple[str, object]]


@pytest.fixture
def noted(request: pytest.FixtureRequest) -> Noted:
    """What is said of a test in the report's file.

    The fixture `record_property` does the same, and warns that one of the two formats
    of the file has no place for it; pytest writes it in both.
    """
    return request.node.user_properties


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", EAGER, ids=named)
def test_eagerly_as_on_tensorflow(case, oracle, dialect, noted):
    if reason := reason_to_skip(case, compiled=False):
        pytest.skip(reason)
    check(case, run_eagerly(case, dialect), oracle, noted)


@pytest.mark.parametrize("case", COMPILED, ids=named)
def test_compiled_as_on_tensorflow(case, oracle, compiled, noted):
    if reason := reason_to_skip(case, compiled=True):
        pytest.skip(reason)
    check(case, compiled.outcome(case), oracle, noted)


def check(case: Case, found: Outcome, oracle: Telling, noted: Noted) -> None:
    """Compares an outcome of ours with what is expected of the case on this backend."""
    if pattern := case.refused_on.get(BACKEND):
        noted.append(("refused", pattern))
        check_error(found, errors.TapeError, pattern)
        return
    native = oracle.outcome(case.name)
    difference = case.difference(BACKEND)
    if difference is None:
        check_same(case, found, native)
        return
    noted.append(("differs", difference.reason))
    if difference.error is not None:
        assert "value" in native, "TensorFlow raises too: take `differs` away."
        expected = getattr(errors, difference.error)
        check_error(found, expected, difference.match)
    else:
        meant = outcome.of_value(difference.made())
        check_same(case, found, meant)


def check_same(case: Case, found: Outcome, native: Outcome) -> None:
    if "error" in native:
        check_error(found, expected_error(native), native=native)
        return
    assert "error" not in found, (
        f"TensorFlow gives {native['value']}; ours raised {describe(found)}"
    )
    wrong = outcome.differences(found, native, rtol=case.rtol, atol=case.atol)
    assert not wrong, "\n".join(wrong)


def expected_error(native: Outcome) -> type[Exception]:
    """The class that ours must have, for an error of TensorFlow's."""
    names = [name for name in native["error"] if name in BUILTINS]
    if native["error"][0] in ACCIDENTS or names == ["Exception"]:
        return errors.TapeError
    return BUILTINS[names[0]]


def check_error(
    found: Outcome,
    expected: type[Exception],
    match: str = "",
    native: Outcome | None = None,
) -> None:
    meant = expected.__name__
    if native is not None:
        meant = f"{meant}, as TensorFlow's {describe(native)}"
    assert "error" in found, f"Expected {meant}; ours gave {found}"
    assert meant.partition(",")[0] in found["error"], (
        f"Expected {meant}; ours raised {describe(found)}"
    )
    assert re.search(match, found["message"]), (
        f"{match!r} is not in {found['message']!r}"
    )


def describe(error: Outcome) -> str:
    return f"{error['error'][0]}: {error['message'][:500]}"


def reason_to_skip(case: Case, compiled: bool) -> str | None:
    if reason := case.skipped_on.get(BACKEND):
        return reason
    if compiled and case.wide:
        return "a step's data and Keras' floats are no wider than 32 bits"
    return case.why_not_compiled(BACKEND) if compiled else None
