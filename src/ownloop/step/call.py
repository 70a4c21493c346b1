"""The user's step as a backend calls it: leaves of a batch in, flat values out."""

import contextlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import optree

from ownloop.backends.contract import StepValues
from ownloop.errors import StepError
from ownloop.step import complaints, outcome
from ownloop.step.results import Results, RunningValue

Function = Callable[..., Any]
NamedMetric = tuple[str, weakref.ref[keras.Metric]]


@final
class StepCall:
    """Puts a batch together, calls the step, and takes its result apart.

    `find` returns the user's function. It is looked up at each call and not held, so
    that a compiled program does not keep the function that it was made from alive.
    `logged` holds the names of the last result; every call must give the same.
    `running` holds what the first result had in place of metrics: their values; `idle`
    the metrics in it that were not updated, and `reset` those that were reset.
    """

    def __init__(
        self, find: Callable[[], Function], structure: optree.PyTreeSpec | None
    ) -> None:
        self._find = find
        self._structure = structure
        self.logged: tuple[outcome.Logged, ...] = ()
        self.running: tuple[RunningValue, ...] = ()
        self.idle: tuple[NamedMetric, ...] = ()
        self.reset: tuple[NamedMetric, ...] = ()
        self._metrics: weakref.WeakSet[keras.Metric] = weakref.WeakSet()

    @property
    def metrics(self) -> tuple[keras.Metric, ...]:
        """The metrics that the step has returned."""
        return tuple(self._metrics)

    def __call__(self, leaves: Sequence[Any]) -> StepValues:
        results = None if self.logged else Results()
        try:
            with results or contextlib.nullcontext():
                result = self._find()(*self._arguments(leaves))
        except ValueError as error:
            complaints.explain(error)
            raise
        except TypeError as error:
            self._explain_one_argument(error, leaves)
            raise
        self._metrics.update(outcome.metrics(result))
        logged, every, final_values = outcome.read(result)
        if self.logged and logged != self.logged:
            raise StepError(
                f"The step returned {_names(logged)} after {_names(self.logged)} in "
                "an earlier call. A step returns the same names and kinds at every "
                "call. Log under other names in a step of its own, or log a constant "
                "where there is nothing to log."
            )
        self.logged = logged
        if results is not None:
            self._learn(results, result)
        return StepValues(tuple(every), tuple(final_values))

    def _learn(self, results: Results, result: Any) -> None:
        """Keeps what was heard of the metrics that the first result had, or had not."""
        entries = list(outcome.entries(result))
        found = [results.find(*entry) for entry in entries]
        self.running = tuple(value for value in found if value is not None)
        metrics = [(n, m) for n, m in entries if isinstance(m, keras.Metric)]
        idle = [(n, weakref.ref(m)) for n, m in metrics if not results.is_updated(m)]
        reset = [(n, weakref.ref(m)) for n, m in metrics if results.is_reset(m)]
        self.idle, self.reset = tuple(idle), tuple(reset)

    def _arguments(self, leaves: Sequence[Any]) -> Sequence[Any]:
        if self._structure is None:
            return ()
        batch = optree.tree_unflatten(self._structure, leaves)
        return batch if isinstance(batch, tuple | list) else (batch,)

    def _explain_one_argument(self, error: TypeError, leaves: Sequence[Any]) -> None:
        """Adds a note where a batch of one argument has met a step of several.

        The step itself has not run then: the error comes from the call of it.
        """
        trace = error.__traceback__
        arguments = self._arguments(leaves)
        if trace is None or trace.tb_next is not None or len(arguments) != 1:
            return
        kind = "no tuple"
        if isinstance(arguments[0], Mapping):
            kind = f"a dict of {', '.join(map(repr, arguments[0]))}"
        note = (
            f"The data's batch is {kind}, which arrives as one argument. Expected a "
            "step of one argument: take the batch apart within it, or let the data "
            "give tuples."
        )
        # An exception that takes no notes is the user's, and more important than ours.
        with contextlib.suppress(Exception):
            error.add_note(note)


def _names(logged: Sequence[outcome.Logged]) -> str:
    return (
        "{" + ", ".join(f"{entry.name}: {entry.kind.value}" for entry in logged) + "}"
    )
