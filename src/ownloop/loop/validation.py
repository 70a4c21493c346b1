"""A validation pass: batches through a step, and nothing left of it but numbers."""

import time
from typing import Any

from ownloop.errors import DataError
from ownloop.events import ChunkDone, PassDone
from ownloop.loop.programs import Step, step_name
from ownloop.loop.run import Run
from ownloop.loop.values import Values


def validate(run: Run, step: Step, data: Any, *, name: str) -> Values:
    """Runs a step over all of the data and puts back every variable it touched.

    Metrics and seeds are put back too, so that a validation may happen in the middle
    of an epoch, with the same metric objects, and training goes on to the same bits.
    """
    begin = time.perf_counter()
    feed = run.feed(data, steps=None, epoch=run.current or run.epoch)
    runner = run.runner(step, feed, keep=True)
    batches = run.batches(data, None)
    done = 0
    try:
        while (advance := runner.advance(None)) is not None:
            done += advance.count
            run.tell(
                ChunkDone(
                    epoch=run.current,
                    epochs_total=run.epochs_total,
                    pass_name=name,
                    batch=done,
                    batches=batches,
                    step=run.step,
                    seconds=time.perf_counter() - begin,
                    last=advance.last,
                    mean=runner.mean.values(),
                )
            )
    except BaseException as error:
        run.fail(error, step_name(step), name, done)
        raise
    finally:
        runner.restore()
        feed.close()
    if done == 0:
        raise DataError(
            f"The validation {name!r} got no batch. Expected at least one. Check the "
            "data, and pass something that can be read again, such as a list or "
            "`ownloop.Batches`."
        )
    mean = runner.mean.values()
    run.history.record_pass(name, mean, step=run.step, epoch=run.current or 0)
    seconds = time.perf_counter() - begin
    run.tell(
        PassDone(
            epoch=run.current,
            pass_name=name,
            step=run.step,
            values=mean,
            seconds=seconds,
        )
    )
    return mean
