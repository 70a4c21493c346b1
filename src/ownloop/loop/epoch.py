"""One epoch: the passes that the user's body asks for, between two rows of history."""

import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, final

from ownloop.clock import Every, EveryLike
from ownloop.data.feed import check_steps
from ownloop.errors import LoopError
from ownloop.events import EpochDone
from ownloop.loop.given import StepPass
from ownloop.loop.run import Run, check_step
from ownloop.loop.shelf import Step
from ownloop.loop.supply import count_batches
from ownloop.loop.training import Pass, done_of
from ownloop.loop.validation import validate
from ownloop.loop.values import Values
from ownloop.loop.workflow import (
    describe_steps,
    describe_training,
    describe_validation,
)


@final
class Epoch:
    """One time through the body of `for epoch in loop.epochs(n)`.

    `epoch["val_loss"]` reads this epoch's row of the history so far.

    Attributes:
        number: Which epoch this is, from 1.

    Example:
        >>> import keras, numpy as np
        >>> import ownloop as ol
        >>> def step(x):
        ...     return {"mean": keras.ops.mean(x)}
        ...
        >>> data = ol.Batches(np.arange(6.0), batch_size=2)
        >>> for epoch in ol.Loop(observers=[]).epochs(1):
        ...     for chunk in epoch.train(step, data, every=2):
        ...         print(chunk.batch, chunk.last)
        ...     print(epoch.validate(step, data))
        ...     print(epoch.step(step, np.array([8.0, 9.0]), name="own"))
        ...     print(epoch["train_mean"], epoch["val_mean"])
        2 Values(mean=2.5)
        3 Values(mean=4.5)
        Values(mean=2.5)
        Values(mean=8.5)
        2.5 2.5
    """

    def __init__(self, run: Run, number: int) -> None:
        self.number = number
        self._run = run
        self._passes: list[Pass] = []
        self._steps: list[StepPass] = []
        self._begin = time.perf_counter()
        self._first_step = run.step
        self._looked = False
        self._closed = False
        self._met: dict[str, int] = {}

    @property
    def did_nothing(self) -> bool:
        """Whether no step of training and no validation has come to its end."""
        return self._run.step == self._first_step and not self._looked

    def train(
        self,
        step: Step,
        data: Any = None,
        *,
        every: EveryLike = None,
        steps: int | None = None,
        name: str = "train",
    ) -> Pass:
        """Makes a training pass: a step for each batch, in compiled chunks.

        Args:
            step: A plain function of one batch: a tuple or list is unpacked into its
                arguments, anything else is one argument, and without data it takes
                none. It returns what is logged: a scalar (by the name "loss"), a Keras
                metric, or a dict of these by name. A metric starts from zero in every
                pass.
            data: `ownloop.Batches`, or anything that gives batches when iterated: a
                `tf.data.Dataset`, a PyTorch `DataLoader`, a list.
            every: After how many batches to look: `300`, `(300, 1000)`, or
                `ownloop.every(300, start=1)`. None: at the end only. How often one
                looks never changes what is computed.
            steps: Makes a pass of so many batches, which goes on where the last such
                pass left the data and begins again at their end.
            name: The first half of the keys in the history.

        Returns:
            A `Pass`: iterate it for chunks, or call its `run`.

        Raises:
            LoopError: The epoch is over, the step cannot be called, `every` makes no
                sense, or there are neither data nor `steps`.
            DataError: `steps` makes no sense, or the data give no batches, as a bare
                array or tensor does.
            FolderError: The run in the folder had another step or other data here.

        Example:
            >>> import keras, numpy as np
            >>> import ownloop as ol
            >>> def step(x):
            ...     return {"mean": keras.ops.mean(x)}
            ...
            >>> data = ol.Batches(np.arange(6.0), batch_size=2)
            >>> loop = ol.Loop(observers=[])
            >>> for epoch in loop.epochs(2):
            ...     result = epoch.train(step, data, steps=2).run()
            ...
            >>> loop.history.steps["train_mean"].tolist()
            [0.5, 2.5, 4.5, 0.5]
        """
        run = self._run
        with run.refusals():
            self._check_open()
            check_step(step)
            looks = Every.of(every)
            steps = None if steps is None else check_steps(steps)
            call = run.home.enter(name, step, data)
            try:
                feed = run.data.feed(
                    data,
                    name=name,
                    steps=steps,
                    epoch=self.number,
                    done=done_of(call),
                    body=run.body,
                    bookmark=(call.open or {}).get("stream"),
                )
            except BaseException:
                run.home.drop(call)  # Perhaps it is caught, and the epoch goes on.
                raise
            batches = count_batches(data) if steps is None else steps
            made = Pass(
                run,
                step,
                feed,
                call=call,
                name=name,
                place=run.body or self._next_place(name),
                every=looks,
                batches=batches,
                line=_line_of(sys._getframe(1)),
            )
        self._looked |= call.is_over
        self._passes.append(made)
        run.plan[name] = describe_training(name, step, data, looks)
        return made

    def _next_place(self, name: str) -> str:
        number = self._met[name] = self._met.get(name, -1) + 1
        return f"{name}:{number}"

    def validate(self, step: Step, data: Any, *, name: str = "val") -> Values:
        """Runs a step over data, and leaves no trace but the numbers.

        Every variable that the step touches, metrics and seeds included, has its old
        value afterwards. What its data draw from generators of Python, NumPy or a
        loader stays drawn.

        Args:
            step: A plain function of one batch, as for `train`.
            data: As for `train`.
            name: The first half of the keys in the history.

        Returns:
            The means over the data: scalars weighted by the examples in each batch.

        Raises:
            LoopError: The epoch is over, or the step cannot be called.
            DataError: There is no batch, or one that cannot be used.
            StepError: The step returns what cannot be logged.
            FolderError: The run in the folder had another step or other data here.

        Example: see `Epoch`.
        """
        run = self._run
        with run.refusals():
            self._check_open()
            check_step(step)
            run.plan[name] = describe_validation(name, step, data)
            result = validate(run, step, data, name=name)
        self._looked = True
        return result

    def step(self, step: Step, *batch: Any, name: str = "train") -> Values:
        """Runs one compiled step on a batch of the user's own.

        For data that depend on the current model, as in reinforcement learning. All
        such steps of an epoch with one function and name make one pass in the history.

        Args:
            step: A plain function that takes `*batch`.
            batch: Arrays; each shape is compiled once.
            name: The first half of the keys in the history.

        Returns:
            What this step logged.

        Raises:
            LoopError: The epoch is over, or the step cannot be called.
            DataError: The batch is not made of numbers.
            StepError: The step returns what cannot be logged.
            NonFiniteError: It made something NaN or infinite, and `nonfinite` is
                "raise", or a limit is reached.

        Example: see `Epoch`.
        """
        with self._run.refusals():
            self._check_open()
            self._run.home.enter_single_steps()
            return self._step_pass(step, name).step(batch)

    def _step_pass(self, step: Step, name: str) -> StepPass:
        for made in self._steps:
            # Not by identity: a bound method is a new object at each access.
            if made.name == name and made.function == step:
                return made
        made = StepPass(self._run, step, name=name)
        self._steps.append(made)
        self._run.plan[name] = describe_steps(name, step)
        return made

    def close(self) -> None:
        """Ends what is open and writes the epoch's row; the loop calls this."""
        self._closed = True
        self._end_passes()
        run = self._run
        run.history.record_epoch(self.number, run.step)
        run.tell(
            EpochDone(
                number=self.number,
                step=run.step,
                row=dict(run.history.row(self.number)),
                seconds=time.perf_counter() - self._begin,
            )
        )
        run.current = None

    def check_passes(self) -> None:
        """Refuses a pass that was made and never iterated.

        Raises:
            LoopError: There is one, and the run was not stopped.
        """
        for made in self._passes:
            if made.is_missing and self._run.stop_reason is None:
                raise LoopError(
                    f"`epoch.train` was called for the pass {made.name!r} in "
                    f"{made.line}, which was never run in epoch {self.number}. A pass "
                    "does nothing until it is iterated. Write `for chunk in "
                    "epoch.train(...)`, or end the call with `.run()`."
                )

    def abandon(self) -> None:
        """Ends what is open without a row: a step has raised in this epoch."""
        self._closed = True
        self._end_passes()
        self._run.current = None

    def _end_passes(self) -> None:
        for made in self._passes:
            made.end()
        for given in self._steps:
            given.end()

    def __getitem__(self, name: str) -> Any:
        return self._run.history.row(self.number)[name]

    def __repr__(self) -> str:
        total = self._run.epochs_total
        return f"Epoch({self.number}{f' of {total}' if total else ''})"

    def _check_open(self) -> None:
        if self._closed:
            raise LoopError(
                f"Epoch {self.number} is over. An epoch can be used in its own turn "
                "of the for-loop only. Use the `epoch` of the present turn, or "
                "`loop.validate` outside of epochs."
            )


def _line_of(frame: FrameType) -> str:
    return f"line {frame.f_lineno} of {Path(frame.f_code.co_filename).name}"
