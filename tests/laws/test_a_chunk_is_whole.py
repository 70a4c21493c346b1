"""A chunk that fails or is interrupted never was; one that is done is done whole.

Where a step fails, every variable is as before its chunk, and the user gets the very
exception. Where Ctrl-C comes, variables, steps and history tell of the same chunk.
"""

import os
import signal
import sys
import threading
import time

import keras
import numpy as np
import pytest

import ownloop as ol


class OwnError(Exception):
    """An error of the user's."""


@pytest.fixture(autouse=True)
def no_scope_stays_open():
    """An interrupt may come between the lines with which Keras closes a name scope.

    All names that other tests give would begin with that scope's.
    """
    yield
    keras.utils.clear_session()


@pytest.mark.in_turn(most=1)
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("kind", [OwnError, KeyboardInterrupt])
def test_a_step_that_raises_leaves_everything_as_before_its_chunk(
    data, bits, kind, compile, make_job, make_step, run_pass
):
    error = kind("mine")
    model, optimizer = make_job()
    plain = make_step(model, optimizer)
    short = (np.ones((3, 4), "float32"), np.zeros(3, "int32"))
    batches = [*data, short]

    def step(x, y):
        loss = plain(x, y)
        # Compiled, Python runs again for a batch of another shape; eagerly, each time.
        if x.shape[0] == 3:
            raise error
        return loss

    def state():
        return bits((*model.variables, *optimizer.variables))

    loop = ol.Loop(compile=compile, observers=())
    last = None

    def train():
        nonlocal last
        for epoch in loop.epochs(1):
            for chunk in epoch.train(step, batches, every=5):
                last = chunk.batch, state()

    with pytest.raises(kind) as caught:
        train()
    assert caught.value is error
    assert last == (5, state())
    assert loop.step == 5
    assert len(loop.history.steps["train_loss"]) == 5
    note = "\n".join(error.__notes__)
    assert "epoch 1" in note
    assert "after batch 5" in note
    run_pass(loop, step, data)
    assert loop.step == 5 + 8


@pytest.mark.parametrize("compile", [True, False])
def test_a_stop_iteration_of_the_step_is_seen_and_ends_nothing_silently(
    data, compile, run_pass
):
    error = StopIteration("mine")

    def step(x, y):
        raise error

    loop = ol.Loop(compile=compile, observers=())
    with pytest.raises(StopIteration) as caught:
        run_pass(loop, step, data)
    assert caught.value is error
    # Out of a `for`, Python itself lets no StopIteration come.
    rounds = loop.epochs(1)
    epoch = next(rounds)
    with pytest.raises(RuntimeError) as wrapped:
        list(epoch.train(step, data))
    assert wrapped.value.__cause__ is error


def test_metrics_too_are_as_before_the_first_chunk_where_that_fails(
    data, bits, run_pass
):
    metric = keras.metrics.Mean()
    metric.update_state(3.0)
    before = bits(metric.variables)

    def step(x, y):
        metric.update_state(x)
        if fail:
            raise OwnError
        return metric

    for compile in (True, False):
        fail = True
        loop = ol.Loop(metric=metric, compile=compile, observers=())
        with pytest.raises(OwnError):
            run_pass(loop, step, data)
        assert bits(metric.variables) == before


@pytest.mark.in_turn
def test_leaving_early_keeps_what_was_done(data, bits, make_job, make_step):
    states = []
    for leave in ("break", "stop"):
        model, optimizer = make_job()
        step = make_step(model, optimizer)
        loop = ol.Loop(observers=())
        for epoch in loop.epochs(3):
            for chunk in epoch.train(step, data, every=3):
                if chunk.batch == 6 and leave == "break":
                    break
                if chunk.batch == 6:
                    loop.stop("enough")
            if leave == "break":
                break
        assert loop.step == 6
        assert len(loop.history.steps["train_loss"]) == 6
        assert loop.stopped == ("enough" if leave == "stop" else None)
        states.append(bits((*model.variables, *optimizer.variables)))
    assert states[0] == states[1]


@pytest.mark.in_turn
def test_an_interrupt_in_the_users_body_keeps_the_chunk(
    data, bits, make_job, make_step, run_pass
):
    model, optimizer = make_job()
    step, states = make_step(model, optimizer), []
    loop = ol.Loop(observers=())

    def state():
        return bits((*model.variables, *optimizer.variables))

    def train():
        for epoch in loop.epochs(1):
            for chunk in epoch.train(step, data, every=3):
                states.append(state())
                if chunk.batch == 6:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert loop.step == 6
    assert states[-1] == state()
    run_pass(loop, step, data)
    assert loop.step == 6 + 8


# Keras has an `except:` that takes Ctrl-C for another error and warns of that, and JAX
# a callback of the garbage collector out of which nothing comes.
@pytest.mark.in_turn
@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("compile", [True, False])
def test_ctrl_c_at_any_instant_leaves_whole_chunks(
    bits, compile, make_data, make_job, make_step, run_pass
):
    """Steps done, the history and every variable tell of the same chunk."""
    x, y = make_data(64)
    data = ol.Batches((x, y), batch_size=4)
    model, optimizer = make_job()
    count = keras.Variable(0, dtype="int32", trainable=False)
    plain = make_step(model, optimizer)

    def step(x, y):
        count.assign_add(1)
        return plain(x, y)

    loop = ol.Loop(compile=compile, observers=())
    run_pass(loop, step, data)
    interrupted = 0
    generator = np.random.default_rng(0)
    for delay in generator.uniform(0, 0.05, 20):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        begin = loop.step
        try:
            timer.start()
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                for epoch in loop.epochs(loop.epoch + 1):
                    for _ in epoch.train(step, data, every=5):
                        pass
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        assert int(count.numpy()) == loop.step == int(optimizer.iterations.numpy())
        assert len(loop.history.steps["train_loss"]) == loop.step
        # Passes have 16 batches, in chunks of 5, 5, 5, 1.
        assert (loop.step - begin) % 16 % 5 in (0, 1)
        assert all(np.isfinite(v.numpy()).all() for v in model.variables)
    assert interrupted >= 15


@pytest.mark.in_turn
def test_ctrl_c_at_any_line_of_the_loops_own_code_leaves_whole_chunks(data, turns):
    count = keras.Variable(0, dtype="int32", trainable=False)

    def step(x, y):
        count.assign_add(1)
        return keras.ops.sum(x)

    def val_step(x, y):
        count.assign_add(100)
        return keras.ops.sum(x)

    def train(loop):
        for epoch in loop.epochs(1):
            for _ in epoch.train(step, data, every=5):
                epoch.validate(val_step, data)

    def interrupted_at(line):
        """Runs until so many lines of the loop's files were run, then Ctrl-C."""
        left = line

        def trace(frame, event, argument):
            nonlocal left
            if f"ownloop{os.sep}loop{os.sep}" not in frame.f_code.co_filename:
                return None
            left -= event == "line"
            if left == 0 and event == "line":
                signal.raise_signal(signal.SIGINT)
            return trace

        count.assign(0)
        loop = ol.Loop(observers=())
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            train(loop)
        except KeyboardInterrupt:
            return loop, True
        finally:
            sys.settrace(before)
        return loop, False

    train(ol.Loop(observers=()))
    # The lines are the same on all backends.
    for line in turns():
        loop, interrupted = interrupted_at(line)
        assert int(count.numpy()) == loop.step, f"line {line}"
        assert loop.step in (0, 5, 8)
        if loop.step:
            assert len(loop.history.steps["train_loss"]) == loop.step
        if not interrupted:
            break
    assert line > 200
    assert loop.step == 8
