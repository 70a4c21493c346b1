"""`Loop`: the for-loop over epochs, in the user's own script."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Never, final

from ownloop.checkpoints import Keep
from ownloop.clock import Every, EveryLike, SaveEvery
from ownloop.errors import LoopError
from ownloop.events import Observer
from ownloop.folder import ReplayRequest
from ownloop.guards import Evidence, Report
from ownloop.history import History
from ownloop.loop import workflow
from ownloop.loop.epoch import Epoch
from ownloop.loop.keeping import (
    FIVE_MINUTES,
    LAST_THREE,
    NOT_NAMED,
    Keeping,
    NotNamed,
    check_nothing_to_keep,
)
from ownloop.loop.nonfinite import Policy
from ownloop.loop.resume_check import ResumeReport, check_resume
from ownloop.loop.round import epochs_of
from ownloop.loop.rounds import Rounds
from ownloop.loop.run import Run
from ownloop.loop.shelf import Step
from ownloop.loop.trial import NoTrial, Trial
from ownloop.loop.validation import validate
from ownloop.loop.values import Values
from ownloop.observers import Console, Progress
from ownloop.resume import owned
from ownloop.shown import shown
from ownloop.whole import whole_number


@final
class Loop:
    """A training run that belongs to the user: epochs, passes, looks, and a history.

    The arguments name what is saved with the run, as `tf.train.Checkpoint` does; what
    else the steps read or change is found by tracing them. Loops may train in several
    threads, each with steps and objects of its own; what is drawn there from the
    generators of NumPy, Python or PyTorch, which threads share, depends on the time.

    Args:
        compile: Whether steps are compiled. If not, each runs as plain Python, with
            the same numbers to rounding, and can be debugged.
        observers: Callables that are told what happens (`ownloop.events`). None
            stands for `[ownloop.observers.Console()]`, which says what is compiled, and
            why again; a list takes its place. One that has `get_state()` and
            `set_state(state)` is saved with the run, and must be there when that goes
            on.
        folder: Where the run is kept: its state, history and log. The same script run
            again continues there, to the same bits. Nothing is read or written before
            the first epoch or validation. None: nothing is kept, whatever `save`
            and `keep` say; they are refused where no folder is named at all.
        resume: Whether to continue a run that is in the folder. One that was left
            before its first save begins anew. False refuses a folder in which another
            loop has recorded or printed anything, and "inexact" continues although
            versions, threads, code or data differ. A run whose checkpoints were
            deleted is refused in any case.
        save: When to save beside the ends of epochs: `every(minutes(5))`, a number of
            steps, or None. The end of an epoch is left out while the save before is
            still being written, unless `keep` has a `by` or the epoch used
            `epoch.step`.
        keep: Which checkpoints stay: a number for the last ones, or `Keep`.
        nonfinite: What to do with a step that makes a logged loss (a scalar named
            "loss", or with a name that ends so) or a variable NaN or infinite; such
            a step is undone. A variable that is finite again within about a second is
            not seen, if no loss shows it. "raise": end with a `NonFiniteError`.
            "skip": leave it out, as if its batch were not in the data; after 100 in a
            run, raise. A whole number: the same with another limit. "stop": stop the
            run before it.
        **objects: Keras models, layers, optimizers, metrics, seed generators and
            variables, and objects with `get_state()` and `set_state(state)`.

    Attributes:
        history: Every step's numbers, a value per pass, a row per epoch.
        memory: A dict of the user's own JSON values that belong to the run.

    Raises:
        LoopError: An object's state cannot be found, or an argument makes no sense.

    Example:
        >>> import keras, numpy as np
        >>> import ownloop as ol
        >>> weight = keras.Variable(0.0)
        >>> optimizer = keras.optimizers.SGD(0.1)
        >>> def step(x):
        ...     with ol.GradientTape() as tape:
        ...         loss = keras.ops.mean((weight - x) ** 2)
        ...     optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        ...     return loss
        ...
        >>> loop = ol.Loop(weight=weight, optimizer=optimizer)
        >>> data = ol.Batches(np.ones(8, "float32"), batch_size=2)
        >>> for epoch in loop.epochs(3):
        ...     result = epoch.train(step, data).run()
        ...
        >>> loop.step, loop.history["train_loss"].round(3).tolist()
        (12, [0.578, 0.097, 0.016])
    """

    def __init__(
        self,
        *nameless: Never,
        compile: bool = True,
        observers: Sequence[Observer] | None = None,
        folder: str | PathLike[str] | NotNamed | None = NOT_NAMED,
        resume: bool | str = True,
        save: int | Every | SaveEvery | None = FIVE_MINUTES,
        keep: int | Keep = LAST_THREE,
        nonfinite: str | int = "raise",
        **objects: Any,
    ) -> None:
        _check_named(nameless)
        arguments = list(Loop.__init__.__kwdefaults__ or {})
        for name, thing in objects.items():
            owned.check(name, thing, arguments)
        if observers is not None:
            _check_observers(observers)
        self._run = Run(
            objects,
            compiled=compile,
            observers=(Console(),) if observers is None else observers,
            nonfinite=Policy.of(nonfinite),
        )
        how = Keeping.of(resume=resume, save=save, keep=keep)
        if isinstance(folder, NotNamed):
            check_nothing_to_keep(save=save, keep=keep)
            folder = None
        request = ReplayRequest.of()
        if request is not None and folder is not None:
            # The script is run for one step of an earlier run, and nothing is kept.
            if request.is_about(Path(folder)):
                self._run.replay = request
                self._run.epoch = request.epoch - 1
        elif folder is not None:
            # Here, since it needs SQLite, which not every Python has.
            home = import_module("ownloop.loop.run_folder")
            kept = home.RunFolder(Path(folder), self._run, how, NoTrial())
            self._run.home = kept
            kept.close_with(self)

    @property
    def memory(self) -> dict[str, Any]:
        """The user's own values that belong to the run."""
        return self._run.memory

    @property
    def history(self) -> History:
        """Every number of the run so far."""
        return self._run.history

    @property
    def step(self) -> int:
        """Training steps done."""
        return self._run.position.steps

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self._run.position.epochs

    @property
    def stopped(self) -> str | None:
        """The reason that `stop` was given; None while nothing has stopped the run."""
        return self._run.stop_reason

    @property
    def skipped(self) -> int:
        """Steps that were left out of the state, being NaN or infinite."""
        return self._run.guard.skipped

    @property
    def evidence(self) -> Evidence | None:
        """What is kept of the latest step that was NaN or infinite, if there was one.

        Its batch, and the state before it, as NumPy arrays.
        """
        latest = self._run.guard.latest
        return None if latest is None else latest.evidence

    @property
    def compilations(self) -> Mapping[str, int]:
        """How often each step was compiled in this loop, by the step's name."""
        return dict(self._run.programs.compilations)

    def epochs(self, total: int | None = None) -> Iterator[Epoch]:
        """Yields one epoch after the other until `total` are done.

        It may have a name, as in `bar = tqdm(loop.epochs(10))`: each for-loop over it
        is a round of its own, and goes on from the epochs that are done by then.

        Args:
            total: The run's number of epochs, those already done included. None: go
                on until `stop`.

        Raises:
            LoopError: `total` is not a whole number from 0 up. While it is iterated:
                a round of this loop is under way, or the script is not the one that
                began the run in the folder.
            FolderError: While it is iterated: the folder cannot be used, or its run
                cannot be gone on with exactly.
            CheckpointError: While it is iterated: no checkpoint in it can be trusted,
                or one cannot be written.
        """
        number = whole_number(total)
        if total is not None and (number is None or number < 0):
            raise LoopError(
                f"`loop.epochs` got {shown(total)}. Expected the total number of "
                "epochs, a whole number from 0 up, or nothing. Write "
                "`loop.epochs(10)`, or `loop.epochs()` to go on until `loop.stop`."
            )
        return Rounds(lambda: self._epochs(number))

    def _epochs(self, total: int | None) -> Iterator[Epoch]:
        # Of this object, since whoever holds a round's iterator must hold the loop:
        # when the loop is gone, its folder is let go of.
        yield from epochs_of(self._run, total)

    def validate(self, step: Step, data: Any, *, name: str = "test") -> Values:
        """Runs a step over data outside of any epoch; see `Epoch.validate`.

        Raises:
            LoopError: The step cannot be called.
            DataError: There is no batch, or one that cannot be used.
            StepError: The step returns what cannot be logged.
            FolderError: The folder cannot be used, or its run had another step or other
                data here.

        Example:
            >>> import keras, numpy as np
            >>> import ownloop as ol
            >>> data = ol.Batches(np.arange(6.0), batch_size=2)
            >>> ol.Loop(observers=[]).validate(keras.ops.mean, data)
            Values(loss=2.5)
        """
        return validate(self._run, step, data, name=name)

    def stop(self, reason: str = "stopped by the user's code") -> None:
        """Ends the pass after this chunk, and the run after this epoch's body.

        Args:
            reason: Why, in words; kept in `stopped` and told to observers.
        """
        self._run.stop(str(reason))

    def replay(self, step: Step) -> Report:
        """Runs the latest step that was NaN or infinite again, and says where it began.

        Eagerly, from the state before it and on its batch, with the output of every
        layer, the gradients and the new values looked at. Leaves no trace.

        Args:
            step: The step that it was.

        Raises:
            LoopError: No step was NaN or infinite in this run.

        Example:
            >>> import keras, numpy as np
            >>> import ownloop as ol
            >>> layer = keras.layers.Rescaling(2.0, name="double")
            >>> def step(x):
            ...     return keras.ops.mean(layer(x))
            ...
            >>> loop = ol.Loop(nonfinite="stop", observers=[])
            >>> data = ol.Batches(np.array([1, 2, np.nan, 4], "float32"), batch_size=1)
            >>> for epoch in loop.epochs(1):
            ...     chunks = list(epoch.train(step, data))
            ...
            >>> loop.stopped
            'step 3: loss is nan'
            >>> print(loop.replay(step).first)
            the batch is nan
        """
        return self._run.guard.replay(step)

    def run(
        self,
        train_step: Step,
        train: Any,
        val_step: Step | None = None,
        val: Any = None,
        *,
        epochs: int,
        every: EveryLike = None,
    ) -> History:
        """Trains and validates for some epochs: the for-loop written for you.

        Args:
            train_step: The step for each batch of `train`.
            train: As `data` in `Epoch.train`.
            val_step: The step for each batch of `val`; None: no validation.
            val: As `data` in `Epoch.validate`.
            epochs: The run's total number of epochs, those already done included.
            every: After how many batches the progress bar moves. None: about once a
                second.

        Returns:
            The history.

        Raises:
            LoopError: Only one of `val_step` and `val` was given.

        Example:
            >>> import keras, numpy as np
            >>> import ownloop as ol
            >>> def step(x):
            ...     return {"mean": keras.ops.mean(x)}
            ...
            >>> data = ol.Batches(np.arange(6.0), batch_size=2)
            >>> ol.Loop(observers=[]).run(step, data, epochs=2)["train_mean"]
            array([2.5, 2.5])
        """
        if (val_step is None) != (val is None):
            given, missing = ("val_step", "val") if val is None else ("val", "val_step")
            raise LoopError(
                f"`loop.run` got `{given}` and no `{missing}`. A validation takes a "
                f"step and its data. Pass `{missing}` too, or leave out both."
            )
        progress = Progress()
        self._run.observers.append(progress)
        try:
            for epoch in self.epochs(epochs):
                epoch.train(train_step, train, every=every).run()
                if val_step is not None:
                    epoch.validate(val_step, val)
        finally:
            self._run.observers.remove(progress)
        return self.history

    def print(self, *words: Any) -> None:
        """Prints a line, and adds it to `log.txt` where the run has a folder.

        A run that is continued prints and keeps each line once; so a line before the
        first pass waits until the folder is opened there. It should not hold the time
        of day, by which two equal runs would differ.

        Example:
            >>> import ownloop as ol
            >>> ol.Loop().print("learning rate", 0.1)
            learning rate 0.1
        """
        self._run.home.print(" ".join(map(str, words)))

    def save(self, name: str) -> None:
        """Keeps the values of all that this loop owns under a name.

        They are kept in memory; with a folder they are part of each checkpoint.
        """
        run = self._run
        run.saved[name] = owned.save(run.objects, run.home.waiting())

    def load(self, name: str) -> None:
        """Puts back the values that `save` kept; step, epoch and history stay.

        Args:
            name: As `save` got it; or a checkpoint that is kept in the run's folder,
                such as "step-1562", of which all that this loop owns is put back. Of
                several at one step it is that of the epoch's end.

        Raises:
            LoopError: Nothing was saved under this name, or an object has gained
                variables since, such as an optimizer in its first step.
            CheckpointError: The checkpoint is damaged.

        Example: `loop.load(f"step-{loop.history.lowest('val_loss').step}")` after a run
        with `keep=ol.Keep(best=1, by="val_loss")`
        """
        home, saved = self._run.home, self._run.saved
        found = saved[name] if name in saved else home.stored(name)
        if found is None:
            known = ", ".join(map(repr, [*saved, *home.checkpoints()]))
            raise LoopError(
                f"Nothing is saved under the name {name!r}. Saved are: "
                f"{known or 'none'}. Call `loop.save({name!r})` first, or load one of "
                "these; the checkpoints in a folder are known from the first epoch on."
            )
        objects, waiting = self._run.objects, home.waiting()
        home.wait(owned.load(objects, found, waiting, is_returning=home.is_returning))

    def check_resume(
        self, *, steps: int = 200, kills: int = 3, seed: int = 0
    ) -> ResumeReport:
        """Kills this very script on its way, and says whether it ends the same.

        The script is run in child processes: once for some steps, and once more with
        real kills, continuing after each. Call it before `loop.epochs`, to which the
        children go on behind it, so the script must not end there for them; a script
        that passes may be killed anywhere, while one that keeps what it needs in
        variables of its own is told what differs. Tried are the epochs of the first
        `loop.epochs` with a number; what comes after these is not.

        Args:
            steps: How many steps to compare.
            kills: How often to kill.
            seed: Of the steps at which it is killed.

        Returns:
            Whether the ends are equal in every bit, or the first difference. In a
            child, a report without kills.

        Raises:
            LoopError: There is no script that could be run again, it fails, it takes
                no step in a child, or an argument makes no sense.

        Example: with `--check` the script checks and ends, with code 1 where something
        differs; its children go on.

            if "--check" in sys.argv:
                report = loop.check_resume(steps=300)
                if report.kills:
                    print(report)
                    sys.exit(not report.is_equal)
            for epoch in loop.epochs(10):
                ...
        """
        trial = Trial.of_this_process()
        if trial is None:
            return check_resume(steps, kills, seed)
        home = import_module("ownloop.loop.run_folder")
        how = Keeping.of(resume=True, save=max(1, trial.steps // 7), keep=2)
        self._run.home = home.RunFolder(Path(trial.folder), self._run, how, trial)
        return ResumeReport(trial.steps)

    def __str__(self) -> str:
        return workflow.draw(self._run)

    def __repr__(self) -> str:
        names = ", ".join(
            f"{n}={type(t).__name__}" for n, t in self._run.objects.items()
        )
        return f"Loop({names}; step {self.step}, epoch {self.epoch})"


def _check_named(nameless: Sequence[Any]) -> None:
    if nameless:
        kinds = ", ".join(type(thing).__name__ for thing in nameless)
        raise LoopError(
            f"`Loop` got objects without a name: {kinds}. Expected a name for each, "
            "under which its state is saved. Write, for example, "
            "ol.Loop(model=model, optimizer=optimizer)."
        )


def _check_observers(observers: Any) -> None:
    if not isinstance(observers, list | tuple):
        raise LoopError(
            f"`Loop(observers=...)` got {shown(observers)}. Expected a list of "
            "functions of one event. Put it into a list, or leave `observers` out."
        )
    for observer in observers:
        if not callable(observer):
            raise LoopError(
                f"The observer {shown(observer)} cannot be called. Expected a function "
                "of one event, such as `print`. Pass a function, or an object with "
                "`__call__`."
            )
