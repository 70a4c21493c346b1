"""Single compiled steps on batches that the user hands in, as one pass of an epoch."""

import time
from typing import Any, final

import keras
import numpy as np

from ownloop.data import GivenFeed
from ownloop.events import PassDone
from ownloop.loop.interrupts import held
from ownloop.loop.programs import Step, step_name
from ownloop.loop.run import Run
from ownloop.loop.values import Values


@final
class StepPass:
    """All the calls of `epoch.step` with one step in one epoch."""

    def __init__(self, run: Run, step: Step, *, name: str) -> None:
        self.name = name
        self.batch = 0
        self.started = True
        self._run = run
        self._step = step
        self._feed = GivenFeed(float_type=keras.config.floatx())
        self._runner = run.runner(step, self._feed)
        self._begin = time.perf_counter()
        self._ended = False

    def step(self, batch: tuple[Any, ...]) -> Values:
        """Runs one step; a step without arguments gets no batch."""
        run = self._run
        self._feed.give(batch)
        try:
            advance = self._runner.advance(1)
        except BaseException as error:
            self._feed.close()
            run.fail(error, step_name(self._step), self.name, self.batch)
            raise
        assert advance is not None
        with held():
            steps = np.array([run.step + 1])
            run.history.record_steps(self.name, advance.columns, steps)
            run.step += 1
            self.batch += 1
        return advance.last

    def end(self) -> None:
        """Records the means over all steps; once."""
        if self._ended or self.batch == 0:
            return
        self._ended = True
        mean = self._runner.mean.values()
        run = self._run
        epoch = run.current or run.epoch
        run.history.record_pass(self.name, mean, step=run.step, epoch=epoch)
        run.tell(
            PassDone(
                epoch=run.current,
                pass_name=self.name,
                step=run.step,
                values=mean,
                seconds=time.perf_counter() - self._begin,
            )
        )
