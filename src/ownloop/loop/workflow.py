"""The loop drawn as a tree: where it stands, what it owns, what each epoch does."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras

from ownloop.clock import Every
from ownloop.counts import counted
from ownloop.data import Batches
from ownloop.loop.run import Run
from ownloop.loop.shelf import step_name
from ownloop.resume.owned import variables_of


@final
@dataclass(frozen=True)
class Branch:
    """One line of the tree, and those that belong to it."""

    text: str
    twigs: tuple["Branch", ...] = ()

    def lines(self) -> Iterator[str]:
        """Yields the tree, line by line.

        Example:
            >>> for line in Branch("a", (Branch("b"), Branch("c"))).lines():
            ...     print(line)
            a
            ├── b
            └── c
        """
        yield self.text
        for i, twig in enumerate(self.twigs):
            is_last = i == len(self.twigs) - 1
            first, *rest = twig.lines()
            yield ("└── " if is_last else "├── ") + first
            yield from (("    " if is_last else "│   ") + line for line in rest)


def draw(run: Run) -> str:
    """Returns the workflow of a run as lines of text."""
    done = counted(run.epoch, "epoch")
    if run.epochs_total is not None:
        done = f"{run.epoch:,} of {counted(run.epochs_total, 'epoch')}"
    position = f"{done} done, {counted(run.step, 'step')}"
    if run.stop_reason is not None:
        position += f", stopped: {run.stop_reason}"
    passes = [
        Branch(text, tuple(map(Branch, [*more, *_how(run.kinds.get(name, ()))])))
        for name, (text, *more) in run.plan.items()
    ]
    unknown = Branch("known once the first epoch has begun")
    tree = Branch(
        f"Loop on {keras.backend.backend()}: {position}",
        (
            Branch("owns", tuple(map(Branch, _objects(run)))),
            Branch("in each epoch", tuple(passes) or (unknown,)),
        ),
    )
    return "\n".join(tree.lines())


def describe_training(name: str, step: Any, data: Any, every: Every) -> list[str]:
    """Returns the lines for a training pass: what runs over what, and the looks."""
    return [f"train {name!r}: {step_name(step)} {_over(data)}", *_looks(every)]


def describe_validation(name: str, step: Any, data: Any) -> list[str]:
    """Returns the line for a validation."""
    return [f"validate {name!r}: {step_name(step)} {_over(data)}"]


def describe_steps(name: str, step: Any) -> list[str]:
    """Returns the line for single steps."""
    return [f"step {name!r}: {step_name(step)} on batches of the user's own"]


def _how(kinds: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{kind} ({reason})" if reason else kind for kind, reason in kinds]


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
    return f", {counted(len(variables), 'variable')}, {counted(numbers, 'number')}"


def _over(data: Any) -> str:
    if data is None:
        return "without data"
    if isinstance(data, Batches):
        return f"over {data}"
    # Not its own words: to print a list of arrays takes longer than to train on them.
    words = f"over a {type(data).__name__}"
    if not isinstance(data, Sequence):
        return words
    return f"{words} of {counted(len(data), 'batch', 'batches')}"


def _looks(every: Every) -> list[str]:
    if not every.steps:
        return []
    text = " and every ".join(f"{step:,}" for step in every.steps)
    start = f", from batch {every.start:,}" if every.start else ""
    return [f"a look every {text} batches{start}"]
