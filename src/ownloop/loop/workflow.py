"""The loop drawn as text: what it owns, where it stands, what each epoch does."""

import math
from typing import Any

import keras

from ownloop.loop.owned import variables_of
from ownloop.loop.programs import step_name
from ownloop.loop.run import Run


def draw(run: Run) -> str:
    """Returns the workflow: the objects of a run, and the passes of an epoch."""
    total = "no end" if run.epochs_total is None else f"{run.epochs_total}"
    lines = [
        f"Loop on {keras.backend.backend()}: step {run.step:,}, epoch {run.epoch} "
        f"({'not started' if not run.plan and not run.step else f'of {total}'})",
        "  owns",
        *(f"    {line}" for line in _objects(run)),
        "  for each epoch",
    ]
    lines += [f"    {line}" for line in run.plan.values()]
    if not run.plan:
        lines.append("    (its passes show here once the first epoch has begun)")
    return "\n".join(lines)


def describe_pass(verb: str, name: str, step: Any, data: Any, every: str) -> str:
    """Returns one line for a pass: what runs over what, and when one looks."""
    looks = f", a look {every}" if every else ""
    source = "without data" if data is None else f"over {_source(data)}"
    return f"{verb} {name!r}: {step_name(step)} {source}{looks}"


def _objects(run: Run) -> list[str]:
    if not run.objects:
        return ["nothing by name; what the steps touch is found by tracing them"]
    width = max(map(len, run.objects))
    return [
        f"{name:<{width}}  {type(thing).__name__}{_size(thing)}"
        for name, thing in run.objects.items()
    ]


def _size(thing: Any) -> str:
    variables = variables_of(thing)
    if not variables:
        return ""
    numbers = sum(math.prod(variable.shape) for variable in variables)
    return f", {len(variables)} variables, {numbers:,} numbers"


def _source(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 72 else type(data).__name__
