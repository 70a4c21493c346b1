"""One round: the epochs of one for-loop over `loop.epochs(...)`, from begin to end.

Owns how a round begins, goes on and is left, and what is then told and saved. Which
for-loop is a round of its own is in `rounds.py`.
"""

import contextlib
from collections.abc import Iterator

import keras

from ownloop.counts import counted
from ownloop.errors import CheckpointError, FolderError, LoopError
from ownloop.events import Started, Stopped
from ownloop.loop.epoch import Epoch
from ownloop.loop.run import Run


def epochs_of(run: Run, total: int | None) -> Iterator[Epoch]:
    """Yields one epoch after the other until `total` are done, or the run is stopped.

    Raises:
        LoopError: Another round is in an epoch.
        FolderError: The folder cannot be used, or its run cannot be gone on with.
        CheckpointError: No checkpoint can be trusted, or one cannot be written.
    """
    _check_no_other(run)
    run.epochs_total, run.stop_reason = total, None
    has_epochs, ending = run.home.enter_round(total)
    try:
        yield from _entered(run, total, has_epochs, ending)
    except GeneratorExit:
        raise  # Left by `break`; it was seen to.
    except BaseException as error:
        # A generator that raises is not closed, so nothing else ends the round.
        run.current = None
        with _noted_on(error):
            run.home.abandon_round()
        raise
    here = run.position
    done = counted(here.epochs, "epoch is done", "epochs are done")
    reason = run.stop_reason or done
    run.tell(Stopped(reason=reason, step=here.steps, epoch=here.epochs))


def _check_no_other(run: Run) -> None:
    """Refuses a round while another one is in an epoch.

    Raises:
        LoopError: One is. Whether this is the body of its for-loop, or that was left
            and something holds the iterator, looks alike.
    """
    if run.current is not None:
        raise LoopError(
            f"Epochs of this loop were about to begin while its epoch "
            f"{run.current} is under way: within the body of a for-loop over "
            "`loop.epochs`, or behind one that was left by `break` while something "
            "holds its iterator, such as a named `enumerate(loop.epochs(...))`. "
            "Expected one after the other. Make a second `Loop` for a training "
            "within an epoch, or let go of the iterator first: write it into the "
            "`for`, or `del` its name."
        )


def _entered(
    run: Run, total: int | None, has_epochs: bool, ending: str | None
) -> Iterator[Epoch]:
    run.tell(
        Started(
            epochs_total=total,
            backend=keras.backend.backend(),
            epoch=run.position.epochs,
            step=run.position.steps,
        )
    )
    run.stop_reason = ending
    if has_epochs and not _is_left(run, total):
        _tell_that_none_is_left(run, total)
    while has_epochs and _is_left(run, total):
        run.current = run.epoch + 1
        run.failed = None
        run.home.enter_epoch(run.current)
        epoch = Epoch(run, run.current)
        try:
            yield epoch
        except GeneratorExit:
            _leave(run, epoch)
            raise
        run.epoch = epoch.number
        epoch.close()
        epoch.check_passes()
        run.home.leave_epoch()
    run.home.leave_round(run.stop_reason)


def _is_left(run: Run, total: int | None) -> bool:
    return run.stop_reason is None and (total is None or run.epoch < total)


def _tell_that_none_is_left(run: Run, total: int | None) -> None:
    """Says that a round trains nothing, where nobody has been through it before."""
    # On the way to where a run was, rounds that are over are no news.
    if total and not run.home.is_returning and run.replay is None:
        done = counted(run.epoch, "epoch is done", "epochs are done")
        run.say(
            f"no epoch is left to train: {done}, and {total:,} is their number in all; "
            f"loop.epochs({run.epoch + 1}) trains one more"
        )


def _leave(run: Run, epoch: Epoch) -> None:
    """Ends an epoch whose body was left by `break` or by an exception."""
    if run.failed is not None or run.home.is_returning:
        # A step raised, or what it was called with; or an earlier process has come
        # further than this. The epoch is not done, and is entered again.
        epoch.abandon()
        with contextlib.ExitStack() as stack:
            # Another error may have been caught, and what is noted on it lost.
            if isinstance(run.failed, FolderError | CheckpointError):
                stack.enter_context(_noted_on(run.failed))
            run.home.abandon_round()
        return
    reason = run.stop_reason or f"the loop was left in epoch {epoch.number}"
    if epoch.did_nothing:
        epoch.abandon()
    else:
        run.epoch = epoch.number
        epoch.close()
    # Perhaps by an exception: what was saved last stays the last.
    run.home.break_round(run.stop_reason)
    run.tell(Stopped(reason=reason, step=run.step, epoch=run.epoch))


@contextlib.contextmanager
def _noted_on(error: BaseException) -> Iterator[None]:
    """Adds what goes wrong within, as a run is saved, to the error that came first."""
    try:
        yield
    except Exception as failure:
        with contextlib.suppress(Exception):
            error.add_note(f"The run could not be saved either: {failure}")
