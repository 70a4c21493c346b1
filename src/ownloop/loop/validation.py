"""A validation pass: batches through a step, and nothing left of it but numbers."""

import time
from typing import Any

from ownloop.data import AbstractFeed
from ownloop.errors import DataError
from ownloop.loop.record import PassRecord
from ownloop.loop.run import Run
from ownloop.loop.shelf import Step, step_name
from ownloop.loop.supply import count_batches
from ownloop.loop.values import Values
from ownloop.resume.calls import Call
from ownloop.resume.plain import unpack


def validate(run: Run, step: Step, data: Any, *, name: str) -> Values:
    """Runs a step over all of the data and puts back every variable it touched.

    Metrics and seeds are put back too, so that a validation may happen in the middle
    of an epoch, with the same metric objects, and training goes on to the same bits.
    """
    call = run.home.enter(name, step, data)
    if call.is_over:
        _open(run, data, name).close()  # By their places, other data are known.
        run.home.skip(call)
        return Values(unpack(call.result))
    run.home.start(call)
    try:
        values = _go_through(run, call, step, data, name=name)
    except BaseException:
        run.home.drop(call)
        raise
    run.home.finish(call, values)
    return values


def _go_through(run: Run, call: Call, step: Step, data: Any, *, name: str) -> Values:
    run.pause(call, lambda: None)
    feed = _open(run, data, name)
    runner = run.runner(step, feed, name=name, keep=True)
    record = PassRecord(run, name, batches=count_batches(data))
    begin = time.perf_counter()
    try:
        try:
            while (advance := runner.advance(None)) is not None:
                record.add_validation(advance)
                feed.forget(record.batch)
                now = time.perf_counter()
                record.tell_chunk(advance, runner, seconds=now - begin, looks=False)
                begin = now
                if run.home.is_interrupted(call):
                    break
            runner.tell_of_idle_metrics()
        finally:
            runner.restore()
        run.pause(call, lambda: None)  # It runs again when the run goes on.
    except BaseException as error:
        runner.restore()  # Again: an interrupt may have come just before it.
        if runner.has_failed_to_read and run.home.is_interrupted(call):
            # Such as a Ctrl-C that has reached the workers of a loader, too.
            run.pause(call, lambda: None)
        run.fail(error, step_name(step), name, record.batch)
        run.home.fail(call, lambda: None, error)
        raise
    finally:
        feed.close()
    if record.batch == 0:
        raise DataError(
            f"The validation {name!r} got no batch. Expected at least one. Check the "
            "data, and pass something that can be read again, such as a list or "
            "`ownloop.Batches`."
        )
    return record.close(runner)


def _open(run: Run, data: Any, name: str) -> AbstractFeed:
    epoch = run.current or run.epoch
    return run.data.feed(data, name=name, steps=None, epoch=epoch, body=run.body)
