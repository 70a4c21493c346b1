"""A training pass: batches through a step, in chunks between two looks."""

import time
from collections.abc import Iterator
from typing import final

from ownloop.clock import Every
from ownloop.data import AbstractFeed
from ownloop.errors import DataError, LoopError
from ownloop.loop.chunk import Chunk
from ownloop.loop.interrupts import held
from ownloop.loop.record import PassRecord
from ownloop.loop.run import Run
from ownloop.loop.runner import Advance, Runner
from ownloop.loop.shared_feed import SharedFeed
from ownloop.loop.shelf import Step, step_name
from ownloop.loop.values import Values
from ownloop.resume.calls import Call
from ownloop.resume.place import Open
from ownloop.resume.plain import pack, unpack


def done_of(call: Call) -> int:
    """Returns how many batches an earlier process has done of a pass.

    Example:
        >>> done_of(Call(0, open={"batch": 300}))
        300
    """
    return 0 if call.open is None else int(call.open["batch"])


@final
class Pass:
    """Some batches through a step: iterate it for chunks, or `run` it to its end.

    Made by `epoch.train`; does nothing before it is iterated, and runs once. `break`
    ends it, and what was done until then is recorded; so does `loop.stop`, after the
    chunk in which it was called.

    Attributes:
        name: The first half of its keys in the history, such as "train".
        line: Where it was made, such as "line 12 of train.py".
        started: Whether it was iterated.

    Example:
        >>> import keras, numpy as np
        >>> import ownloop as ol
        >>> seen = keras.Variable(0.0, trainable=False)
        >>> def step(x):
        ...     seen.assign_add(keras.ops.sum(x))
        ...     return {"largest": keras.ops.max(x)}
        ...
        >>> loop = ol.Loop(seen=seen, observers=[])
        >>> data = ol.Batches(np.arange(6.0), batch_size=2)
        >>> for epoch in loop.epochs(1):
        ...     for chunk in epoch.train(step, data, every=2):
        ...         print(chunk.batch, float(seen), chunk.last.largest)
        2 6.0 3.0
        3 15.0 5.0
    """

    def __init__(
        self,
        run: Run,
        step: Step,
        feed: AbstractFeed,
        *,
        call: Call,
        name: str,
        place: str,
        every: Every,
        batches: int | None,
        line: str,
    ) -> None:
        self.name = name
        self.line = line
        self._call = call
        self._place = place
        self._batches = batches
        self.started = False
        self._ended = False
        self._run = run
        self._step = step
        self._feed = feed
        self._every = every
        self._record = PassRecord(run, name, batches=batches, done=done_of(call))
        self._runner: Runner | None = None
        self._is_left_by_a_signal = False
        # Of the chunk that is not whole yet.
        self._advances: list[Advance] = []

    @property
    def is_missing(self) -> bool:
        """Whether nobody has gone through it, neither here nor in an earlier process.

        Of passes side by side, `zip` does not even begin the second where the first is
        over.
        """
        return not self.started and not self._call.is_over

    @property
    def batch(self) -> int:
        """Batches done so far."""
        return self._record.batch

    def __iter__(self) -> Iterator[Chunk]:
        """Yields each chunk after its steps ran, the last one included.

        Raises:
            LoopError: The pass was iterated before, or its epoch is over.
            DataError: There is no batch, or one that cannot be used.
            StepError: The step returns what cannot be logged.
            NonFiniteError: A step made something NaN or infinite, and `nonfinite` is
                "raise", or a limit is reached.
            FolderError: The run in the folder cannot go on with this step or data, or
                the folder cannot be written.
        """
        with self._run.refusals():
            runner = self._start()
        if runner is None:
            return
        try:
            while (chunk := self._next(runner)) is not None:
                yield chunk
        finally:
            self.end()

    def run(self) -> Values:
        """Drives the pass to its end; returns its means.

        The same as iterating it and looking at nothing: the same bits, the same
        errors, the same row in the history.

        Example:
            >>> import keras, numpy as np
            >>> import ownloop as ol
            >>> def step(x):
            ...     return {"mean": keras.ops.mean(x)}
            ...
            >>> data = ol.Batches(np.arange(6.0), batch_size=4)
            >>> for epoch in ol.Loop(observers=[]).epochs(1):
            ...     print(epoch.train(step, data).run())
            Values(mean=2.5)
        """
        with self._run.refusals():
            runner = self._start()
        if runner is None:
            return Values(unpack(self._call.result))
        try:
            while self._next(runner) is not None:
                pass
        finally:
            self.end()
        return runner.mean.values()

    def end(self) -> None:
        """Ends the pass where it stands, and records what it has done; once."""
        if self._ended:
            return
        self._ended = True
        self._run.under_way.pop(id(self), None)
        if not isinstance(self._feed, SharedFeed):
            self._feed.close()
        if self._is_left_by_a_signal:
            return
        if self._runner is None:
            return
        if self.batch == 0:
            self._run.home.drop(self._call)
            return
        self._runner.tell_of_changes()
        self._runner.tell_of_idle_metrics()
        self._run.home.finish(self._call, self._record.close(self._runner))

    def _start(self) -> Runner | None:
        """Makes ready to run; None if an earlier process has finished this pass."""
        if self.started or self._ended:
            what = "iterated a second time" if self.started else "iterated too late"
            raise LoopError(
                f"The pass {self.name!r} was {what}. A pass runs once, and in the "
                "turn of the loop over epochs in which it was made. Call "
                "`epoch.train` again for another one."
            )
        self.started = True
        if self._call.is_over:
            self._run.home.skip(self._call)
            return None
        run = self._run
        run.home.start(self._call)
        self._runner = run.runner(
            self._step, self._feed, name=self.name, where=self._record.where
        )
        run.under_way[id(self)] = self._place
        if self._call.open is not None:
            self._runner.go_to(self._call.open)
            self._advances = self._advances_of(self._call.open)
        return self._runner

    def _next(self, runner: Runner) -> Chunk | None:
        run, record = self._run, self._record
        if run.stop_reason is not None or self._ended:
            return None
        self._pause(runner)
        if isinstance(self._feed, SharedFeed):
            # For each chunk: other passes may have gone on with it in between.
            assert self._batches is not None
            self._feed.begin(self._batches, done=self.batch)
        before = sum(advance.count for advance in self._advances)
        left = self._every.next_look(self.batch - before)
        left = None if left is None else left - before
        begin = time.perf_counter()
        try:
            while left is None or left > 0:
                limit = self._limit(left)
                advance = runner.advance(limit, self._count)
                if advance is None:
                    self._go_back()
                    break
                self._advances.append(advance)
                # The time has ended it, or a save that is due.
                is_part = advance.is_cut or (limit != left and advance.count == limit)
                left = None if left is None else left - advance.count
                if advance.is_over:
                    self._go_back()
                    break
                if is_part:
                    begin = self._tell(runner, advance, begin, looks=False)
                    self._pause(runner)
        except BaseException as error:
            self._go_back()
            if runner.has_failed_to_read and run.home.is_interrupted(self._call):
                # Such as a Ctrl-C that has reached the workers of a loader, too.
                self._pause(runner)
            run.fail(error, step_name(self._step), self.name, self.batch)
            run.home.fail(self._call, lambda: self._where(runner), error)
            raise
        if not self._advances:
            with run.refusals():
                self._check_not_empty()
            return None
        advance, self._advances = Advance.joined(self._advances), []
        with run.refusals():
            self._tell(runner, advance, begin, looks=True)
        steps = Values(advance.columns)
        mean = runner.mean.values()
        return Chunk(run.step, record.batch, advance.last, mean, steps)

    def _limit(self, left: int | None) -> int | None:
        """Returns how many steps may run: to the next look, or to the next save."""
        to_save = self._run.home.steps_left(self._run.step)
        limits = [limit for limit in (left, to_save) if limit is not None]
        return min(limits) if limits else None

    def _count(self, advance: Advance) -> None:
        self._record.add_training(advance)
        if isinstance(self._feed, SharedFeed):
            self._feed.count(advance.count)
        else:
            self._feed.forget(self.batch - done_of(self._call))

    def _go_back(self) -> None:
        """Leaves batches that were drawn and not used to the pass that comes next."""
        if isinstance(self._feed, SharedFeed):
            with held():
                self._feed.go_back()

    def _pause(self, runner: Runner) -> None:
        """Lets the run be saved, or left where a signal asks for it."""
        try:
            self._run.pause(self._call, lambda: self._where(runner))
        except (KeyboardInterrupt, SystemExit):
            self._is_left_by_a_signal = True
            raise

    def _where(self, runner: Runner) -> Open | None:
        """Says where this pass stands, for another process to go on; as JSON."""
        if self.batch == 0:
            return None
        is_shared = isinstance(self._feed, SharedFeed)
        done = done_of(self._call)
        place = None if is_shared else self._feed.bookmark(self.batch - done)
        dtypes = {n: c.dtype.name for a in self._advances for n, c in a.columns.items()}
        return {
            "batch": self.batch,
            "unseen": sum(advance.count for advance in self._advances),
            "dtypes": dtypes,
            "last": pack(self._advances[-1].last) if self._advances else {},
            "stream": None if place is None else place.to_json(),
            **runner.state(),
        }

    def _advances_of(self, open: Open) -> list[Advance]:
        """Returns the steps of the chunk in which an earlier process ended."""
        if not open["unseen"]:
            return []
        columns = {
            # The history has them in double precision, which keeps every bit.
            key: self._run.history.steps[f"{self.name}_{key}"][
                -open["unseen"] :
            ].astype(dtype)
            for key, dtype in open["dtypes"].items()
        }
        last = Values(unpack(open["last"]))
        return [Advance(open["unseen"], last, columns, is_cut=True)]

    def _tell(
        self, runner: Runner, advance: Advance, begin: float, *, looks: bool
    ) -> float:
        """Tells observers how far the pass is; returns the time up to which."""
        now = time.perf_counter()
        self._record.tell_chunk(advance, runner, seconds=now - begin, looks=looks)
        return now

    def _check_not_empty(self) -> None:
        if self.batch == 0 and self._run.stop_reason is None:
            raise DataError(
                f"The pass {self.name!r} got no batch: the data were at their end at "
                "once. Expected at least one batch. Check the data, and pass something "
                "that can be read again, such as a list or `ownloop.Batches`."
            )
