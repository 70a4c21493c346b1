"""The record of one pass: what it adds to the history, and what observers are told.

Training, single steps and validation keep the same record, so that it is written in
one place. A record decides nothing and runs no step.
"""

import time
from typing import final

import numpy as np

from ownloop.events import ChunkDone, PassDone
from ownloop.guards import Where
from ownloop.loop.run import Run
from ownloop.loop.runner import Advance, Runner
from ownloop.loop.values import Values


@final
class PassRecord:
    """Counts the batches of one pass, and writes down what it gives.

    Args:
        run: The run whose history and observers are meant.
        name: The pass's name, the first half of its keys in the history.
        batches: How many batches the pass will have, where the data say so.
        done: Batches that an earlier process has done of it.

    Attributes:
        name: The same name.
        batch: Batches done so far.
    """

    def __init__(
        self, run: Run, name: str, *, batches: int | None = None, done: int = 0
    ) -> None:
        self.name = name
        self.batch = done
        self._run = run
        self._batches = batches
        self._begin = time.perf_counter()

    def where(self) -> Where:
        """Says which step of training was the last that counted, within an epoch."""
        run = self._run
        return Where(run.step, run.current or run.epoch, self.name, self.batch)

    def add_training(self, advance: Advance) -> None:
        """Counts steps of training, and keeps what each of them logged.

        The runner calls this with interrupts held: a step is counted and recorded, or
        neither.
        """
        run = self._run
        steps = np.arange(run.step + 1, run.step + advance.count + 1)
        run.history.record_steps(self.name, advance.columns, steps)
        run.step += advance.count
        self.batch += advance.count

    def add_validation(self, advance: Advance) -> None:
        """Counts batches of a validation, which are no steps of the run."""
        self.batch += advance.count

    def tell_chunk(
        self, advance: Advance, runner: Runner, *, seconds: float, looks: bool
    ) -> None:
        """Tells observers that steps came back, and whether the user's code looks."""
        run = self._run
        run.kinds[self.name] = runner.kinds
        run.tell(
            ChunkDone(
                epoch=run.current,
                epochs_total=run.epochs_total,
                pass_name=self.name,
                batch=self.batch,
                batches=self._batches,
                step=run.step,
                seconds=seconds,
                looks=looks,
                last=advance.last,
                mean=runner.mean.values(),
            )
        )

    def close(self, runner: Runner) -> Values:
        """Writes the pass's means into the history, tells observers, returns them."""
        run, mean = self._run, runner.mean.values()
        run.kinds[self.name] = runner.kinds
        run.history.record_pass(self.name, mean, step=run.step, epoch=run.current or 0)
        run.tell(
            PassDone(
                epoch=run.current,
                pass_name=self.name,
                step=run.step,
                values=mean,
                seconds=time.perf_counter() - self._begin,
            )
        )
        run.guard.sum_up(self.name)
        return mean
