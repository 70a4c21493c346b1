"""A training pass: batches through a step, in chunks between two looks."""

import time
from collections.abc import Iterator
from typing import final

import numpy as np

from ownloop.clock import Every
from ownloop.data import AbstractFeed
from ownloop.errors import DataError, LoopError
from ownloop.events import ChunkDone, PassDone
from ownloop.loop.chunk import Chunk
from ownloop.loop.interrupts import held
from ownloop.loop.programs import Step, step_name
from ownloop.loop.run import Run
from ownloop.loop.runner import Advance, Runner
from ownloop.loop.values import Values


@final
class Pass:
    """Some batches through a step: iterate it for chunks, or `run` it to its end.

    Made by `epoch.train`; does nothing before it is iterated. `break` ends it, and what
    was done until then is recorded.

    Attributes:
        name: The first half of its keys in the history, such as "train".
        batch: Batches done so far.
    """

    def __init__(
        self,
        run: Run,
        step: Step,
        feed: AbstractFeed,
        *,
        name: str,
        every: Every,
        batches: int | None,
    ) -> None:
        self.name = name
        self.batch = 0
        self.started = False
        self.ended = False
        self._run = run
        self._step = step
        self._feed = feed
        self._every = every
        self._batches = batches
        self._runner: Runner | None = None
        self._begin = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        self._start()
        try:
            while (chunk := self._next()) is not None:
                yield chunk
        finally:
            self.end()

    def run(self) -> Values:
        """Drives the pass to its end; returns its means.

        Example: `epoch.train(step, data).run().loss`
        """
        self._start()
        try:
            while self._next() is not None:
                pass
        finally:
            self.end()
        return self._mean()

    def end(self) -> None:
        """Ends the pass where it stands, and records what it has done; once."""
        if self.ended or not self.started:
            return
        self.ended = True
        if not self._run.is_continued(self._feed):
            self._feed.close()
        if self.batch == 0:
            return
        mean = self._mean()
        run = self._run
        run.history.record_pass(
            self.name, mean, step=run.step, epoch=run.current or run.epoch
        )
        seconds = time.perf_counter() - self._begin
        run.tell(
            PassDone(
                epoch=run.current,
                pass_name=self.name,
                step=run.step,
                values=mean,
                seconds=seconds,
            )
        )

    def _start(self) -> None:
        if self.started:
            raise LoopError(
                f"The pass {self.name!r} was iterated a second time. A pass runs once. "
                "Call `epoch.train` again for another one."
            )
        self.started = True
        self._begin = time.perf_counter()
        self._runner = self._run.runner(self._step, self._feed)

    def _next(self) -> Chunk | None:
        assert self._runner is not None
        run = self._run
        if run.stop_reason is not None:
            return None
        begin = time.perf_counter()
        try:
            advance = self._runner.advance(self._every.next_look(self.batch))
        except BaseException as error:
            run.fail(error, step_name(self._step), self.name, self.batch)
            raise
        if advance is None:
            self._check_not_empty()
            return None
        with held():
            self._account(advance)
        mean = self._runner.mean.values()
        chunk = Chunk(run.step, self.batch, advance.last, mean, Values(advance.columns))
        run.tell(
            ChunkDone(
                epoch=run.current,
                epochs_total=run.epochs_total,
                pass_name=self.name,
                batch=self.batch,
                batches=self._batches,
                step=run.step,
                seconds=time.perf_counter() - begin,
                last=chunk.last,
                mean=mean,
            )
        )
        return chunk

    def _account(self, advance: Advance) -> None:
        run = self._run
        steps = np.arange(run.step + 1, run.step + advance.count + 1)
        run.history.record_steps(self.name, advance.columns, steps)
        run.step += advance.count
        self.batch += advance.count

    def _mean(self) -> Values:
        assert self._runner is not None
        return self._runner.mean.values()

    def _check_not_empty(self) -> None:
        if self.batch == 0:
            raise DataError(
                f"The pass {self.name!r} got no batch: the data were at their end at "
                "once. Expected at least one batch. Check the data, and pass something "
                "that can be read again, such as a list or `ownloop.Batches`."
            )
