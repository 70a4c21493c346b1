"""Single compiled steps on batches that the user hands in, as one pass of an epoch."""

from typing import Any, final

import keras

from ownloop.data import GivenFeed
from ownloop.loop.record import PassRecord
from ownloop.loop.run import Run
from ownloop.loop.shelf import Step, step_name
from ownloop.loop.values import Values


@final
class StepPass:
    """All the calls of `epoch.step` with one step in one epoch.

    Attributes:
        name: The first half of its keys in the history.
        function: The user's step.
    """

    def __init__(self, run: Run, function: Step, *, name: str) -> None:
        self.name = name
        self.function = function
        self._run = run
        self._feed = GivenFeed(float_type=keras.config.floatx())
        self._record = PassRecord(run, name)
        self._runner = run.runner(
            function, self._feed, name=name, where=self._record.where
        )
        self._ended = False

    def step(self, batch: tuple[Any, ...]) -> Values:
        """Runs one step; a step without arguments gets no batch."""
        self._feed.give(batch)
        try:
            advance = self._runner.advance(1, self._record.add_training)
        except BaseException as error:
            self._feed.close()  # The batch is not given again.
            name, done = step_name(self.function), self._record.batch
            self._run.fail(error, name, self.name, done)
            raise
        if advance is None:
            # The step was undone, and the run is stopped: what it logged says why.
            assert self._run.guard.latest is not None
            return Values(self._run.guard.latest.evidence.logged)
        return advance.last

    def end(self) -> None:
        """Records the means over all steps; once."""
        if not self._ended and self._record.batch > 0:
            self._ended = True
            self._runner.tell_of_changes()
            self._runner.tell_of_idle_metrics()
            self._record.close(self._runner)
