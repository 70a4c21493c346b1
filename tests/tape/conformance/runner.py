"""Runs cases: one at a time as plain Python, or many in one compiled step."""

import contextlib
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import keras

from conformance import outcome
from conformance.case import Case
from conformance.dialect import Dialect
from conformance.outcome import Outcome


def run_eagerly(case: Case, dialect: Dialect) -> Outcome:
    """Returns what comes out of a case that runs as plain Python."""
    keras.utils.set_random_seed(0)
    wide = _wide_numbers() if case.wide else contextlib.nullcontext()
    with wide, _expected_warning(case):
        inputs = case.variables() | case.tensors()
        try:
            return outcome.of_value(case.body(dialect, **inputs))
        except Exception as error:
            return outcome.of_error(error)


@contextlib.contextmanager
def _expected_warning(case: Case) -> Iterator[None]:
    with warnings.catch_warnings():
        if case.warns:
            warnings.filterwarnings("ignore", case.warns)
        yield


def _wide_numbers() -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def run_compiled(
    cases: Sequence[Case], dialect: Dialect, raising: Collection[str]
) -> dict[str, Outcome]:
    """Returns what comes out of cases that run in one compiled step together.

    Exceptions are caught inside the step for the cases that are expected to raise one,
    and for no others: backends steer their tracing by exceptions. Where the step as a
    whole fails, each case gets a step of its own, so that the one to blame is named.
    """
    try:
        return _run_together(cases, dialect, raising)
    except Exception as error:
        if len(cases) == 1:
            return {cases[0].name: outcome.of_error(error)}
    found: dict[str, Outcome] = {}
    for case in cases:
        found |= run_compiled([case], dialect, raising)
    return found


def _run_together(
    cases: Sequence[Case], dialect: Dialect, raising: Collection[str]
) -> dict[str, Outcome]:
    # Only here: the oracle, which runs no step, can do without.
    import ownloop as ol

    variables = {case.name: case.variables() for case in cases}
    batch = {case.name: case.arrays() for case in cases}

    # What is no tensor (structure, None, errors) is noted while the step is traced.
    notes: dict[str, Outcome] = {}

    def step(data: dict[str, Any]) -> dict[str, Any]:
        logged: dict[str, Any] = {"cases": float(len(cases))}
        for case in cases:
            inputs = variables[case.name] | case.tensors() | data[case.name]
            caught = Exception if case.name in raising else ()
            notes[case.name], tensors = _note(case, dialect, inputs, caught)
            logged |= {name: ol.last(value) for name, value in tensors.items()}
        return logged

    def filled(entry: dict[str, Any]) -> dict[str, Any]:
        return outcome.write_array(values[entry["name"]], entry["dtype"])

    values = _run_one_step(step, batch)
    return {
        name: {"value": outcome.fill_in(note["value"], filled)}
        if "value" in note
        else note
        for name, note in notes.items()
    }


def _run_one_step(step: Any, batch: Any) -> Any:
    # Only here: the oracle, which runs no step, can do without.
    import ownloop as ol

    said: list[Any] = []
    loop = ol.Loop(observers=[said.append])
    # One step of training, since only a chunk shows what `last` marks.
    for epoch in loop.epochs(1):
        for chunk in epoch.train(step, [batch]):
            values = chunk.last
    if not loop.compilations.get("step"):
        reasons = [event.text for event in said if hasattr(event, "text")]
        raise AssertionError(f"The step was not compiled: {reasons}")

    return values


def _note(
    case: Case, dialect: Dialect, inputs: dict[str, Any], caught: Any
) -> tuple[Outcome, dict[str, Any]]:
    tensors: dict[str, Any] = {}

    def leaf(value: Any) -> dict[str, Any]:
        name = f"{case.name}/{len(tensors)}"
        tensors[name] = value
        return {"name": name, "dtype": outcome.dtype_of(value)}

    try:
        with _expected_warning(case):
            tree = outcome.take_apart(case.body(dialect, **inputs), leaf)
    except caught as error:
        return outcome.of_error(error), {}
    return {"value": tree}, tensors
