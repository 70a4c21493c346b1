"""Whatever a step reads or changes is state: found, carried, and written back.

Between chunks the Keras objects hold the current values, and what the user assigns is
where the next chunk starts. Where a step fails, everything is as before its chunk.
"""

import gc
import os
import signal
import sys
import threading
import time
import weakref

import keras
import numpy as np
import pytest

import ownloop as ol

layers = keras.layers


def make_data(examples=32):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(examples, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


@pytest.fixture
def data():
    return ol.Batches(make_data(), batch_size=4)


def dense(units=2, **options):
    return layers.Dense(units, kernel_initializer=uniform(), **options)


def uniform():
    return keras.initializers.RandomUniform(-1, 1, seed=1)


def make_step(model, optimizer, metric=None):
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        if metric is None:
            return loss
        metric.update_state(keras.ops.one_hot(y, 2), keras.ops.softmax(logits))
        return {"loss": loss, "metric": metric}

    return step


def make_job(*, build=True, **options):
    inputs = [keras.Input((4,))] if build else []
    model = keras.Sequential([*inputs, dense(3, activation="relu"), dense()])
    optimizer = keras.optimizers.Adam(1e-2, **options)
    if build:
        optimizer.build(model.trainable_variables)
    return model, optimizer


def run_pass(loop, step, data, **options):
    for epoch in loop.epochs(loop.epoch + 1):
        epoch.train(step, data, **options).run()


# ------------------------------------------------------------------ what is created


def test_what_the_first_step_creates_has_its_initial_values(data, bits):
    results = []
    for build in (True, False):
        model, optimizer = make_job(build=build)
        metric = keras.metrics.F1Score(average="macro")
        if build:
            metric.update_state(np.zeros((1, 2)), np.zeros((1, 2)))
            metric.reset_state()
        step = make_step(model, optimizer, metric)
        loop = ol.Loop(model=model, optimizer=optimizer, observers=())
        losses = []
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, every=3):
                losses.extend(chunk.steps.loss)
        variables = (*model.variables, *optimizer.variables, *metric.variables)
        row = loop.history.row(2)
        results.append((len(variables), bits(variables), losses, row["train_metric"]))
    assert results[0] == results[1]


def test_nothing_is_changed_by_looking_for_the_state(bits):
    model, optimizer = make_job()
    metric = keras.metrics.F1Score(average="macro")
    x, y = make_data(4)
    before = bits((*model.variables, *optimizer.variables))

    class StopHereError(Exception):
        pass

    def no_batches():
        yield x, y
        raise StopHereError

    class Data:
        def __iter__(self):
            return no_batches()

    with pytest.raises(StopHereError):
        run_pass(ol.Loop(observers=()), make_step(model, optimizer, metric), Data())
    assert bits((*model.variables, *optimizer.variables)) == before
    assert all(not np.any(v.numpy()) for v in metric.variables)


# ------------------------------------------------------------------ one home for all


def test_interleaved_loops_over_one_model_see_each_other(data, bits):
    def train(interleaved):
        model, optimizer = make_job()
        slow = keras.optimizers.SGD(1e-2)
        one, other = make_step(model, optimizer), make_step(model, slow)
        if interleaved:
            loops = [ol.Loop(observers=()) for _ in range(2)]
            epochs = [loop.epochs(1) for loop in loops]
            passes = [
                next(rounds).train(step, data, every=2)
                for rounds, step in zip(epochs, (one, other), strict=True)
            ]
            for pair in zip(*passes, strict=True):
                assert [chunk.batch for chunk in pair] == [pair[0].batch] * 2
        else:
            loop = ol.Loop(observers=())
            for epoch in loop.epochs(1):
                for i in range(0, 8, 2):
                    for step in (one, other):
                        epoch.step(step, *data.batch(1, i))
                        epoch.step(step, *data.batch(1, i + 1))
        return bits((*model.variables, *optimizer.variables))

    assert train(interleaved=True) == train(interleaved=False)


def test_two_steps_that_share_a_model_train_it_in_turn(data, host):
    """The shape of a GAN: each step changes one part and reads both."""
    generator, discriminator = make_job()[0], make_job()[0]
    step_sizes = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)

    def step_on(model, optimizer):
        def step(x, y):
            with ol.GradientTape() as tape:
                difference = generator(x) - 2 * discriminator(x)
                loss = keras.ops.mean(difference**2)
            variables = model.trainable_variables
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return loss

        return step

    models = generator, discriminator
    steps = [step_on(*pair) for pair in zip(models, step_sizes, strict=True)]
    loop = ol.Loop(observers=())
    for epoch in loop.epochs(1):
        for x, y in data:
            for i, step in enumerate(steps):
                before = [host(model.weights[0]) for model in models]
                epoch.step(step, x, y, name=f"part {i}")
                after = [host(model.weights[0]) for model in models]
                changed = [
                    not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
                ]
                assert changed == [i == 0, i == 1]
    assert loop.history.row(1)["part 0_loss"] < 10


# ------------------------------------------------------------- both ways, every chunk


def test_what_the_user_assigns_between_chunks_takes_effect(data, host):
    weight = keras.Variable(1.0)
    optimizer = keras.optimizers.SGD(0.5)

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = weight * 1.0
        optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        return loss

    seen = []
    for epoch in ol.Loop(observers=()).epochs(1):
        for chunk in epoch.train(step, data, every=1):
            seen.append(float(host(weight)))
            if chunk.batch == 2:
                optimizer.learning_rate = 2.0
            if chunk.batch == 3:
                weight.assign(100.0)
            if chunk.batch == 4:
                optimizer.learning_rate.assign(1.0)
    assert seen == [0.5, 0.0, -2.0, 98.0, 97.0, 96.0, 95.0, 94.0]


@pytest.mark.parametrize("how", ["set_weights", "assign"])
def test_a_teacher_that_takes_the_students_weights_is_no_part_of_it(data, bits, how):
    student, teacher = make_job()[0], make_job()[0]
    optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)
    steps = [
        make_step(model, optimizer)
        for model, optimizer in zip((student, teacher), optimizers, strict=True)
    ]
    for epoch in ol.Loop(observers=()).epochs(1):
        for chunk in epoch.train(steps[0], data, every=2):
            before = bits(teacher.weights)
            if how == "set_weights":
                teacher.set_weights(student.get_weights())
            else:
                for mine, theirs in zip(teacher.weights, student.weights, strict=True):
                    mine.assign(theirs)
            assert bits(teacher.weights) == bits(student.weights) != before
            epoch.train(steps[1], data, name=f"teacher {chunk.batch}").run()
            assert bits(teacher.weights) != bits(student.weights)
        epoch.train(steps[0], data, name="again").run()
        epoch.train(steps[1], data, name="and again").run()
    assert len(set(bits(teacher.weights + student.weights))) == 8


def test_two_variables_that_are_given_one_array_stay_two(data, host):
    array = keras.ops.convert_to_tensor(np.ones(3, "float32"))
    one, other = keras.Variable(np.zeros(3)), keras.Variable(np.zeros(3))
    one.assign(array)
    other.assign(array)

    def step(x, y):
        one.assign_add(np.ones(3, "float32"))
        other.assign_sub(np.ones(3, "float32"))
        return keras.ops.sum(one)

    run_pass(ol.Loop(observers=()), step, data, every=3)
    np.testing.assert_array_equal(host(one), [9, 9, 9])
    np.testing.assert_array_equal(host(other), [-7, -7, -7])
    np.testing.assert_array_equal(host(array), [1, 1, 1])


def test_arrays_that_the_user_kept_stay_as_they_were(backend, data, host):
    model, optimizer = make_job()
    step = make_step(model, optimizer)
    kept, expected = [], []
    for epoch in ol.Loop(observers=()).epochs(2):
        for _ in epoch.train(step, data, every=3):
            kept.append(model.get_weights())
            if backend == "jax":
                kept.append([v.value for v in (*model.weights, *optimizer.variables)])
            expected.append([[host(value) for value in values] for values in kept])
    for values, copies in zip(kept, expected[-1], strict=True):
        for value, copy in zip(values, copies, strict=True):
            np.testing.assert_array_equal(host(value), copy)
    first = expected[0][0][0]
    np.testing.assert_array_equal(kept[0][0], first)
    assert not np.array_equal(first, model.get_weights()[0])


def test_the_users_data_are_not_changed(data):
    x, y = make_data()
    copies = x.copy(), y.copy()
    model, optimizer = make_job()
    loop, step = ol.Loop(observers=()), make_step(model, optimizer)
    run_pass(loop, step, ol.Batches((x, y), batch_size=4), every=3)
    run_pass(loop, step, [(x[:4], y[:4])])
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


def test_changing_the_data_after_a_pass_began_is_not_seen_in_it(bits):
    def train(spoil):
        x, y = make_data()
        model, optimizer = make_job()
        loop, step = ol.Loop(observers=()), make_step(model, optimizer)
        given = ol.Batches((x, y), batch_size=4)
        for epoch in loop.epochs(1):
            for chunk in epoch.train(step, given, every=4):
                if spoil and chunk.batch == 4:
                    x[:] = 1e6
        return bits(model.weights)

    assert train(spoil=True) == train(spoil=False)


def test_calling_and_saving_the_model_in_the_loop_sees_current_weights(
    data, host, tmp_path
):
    model, optimizer = make_job()
    step = make_step(model, optimizer)
    x, _ = make_data(4)
    seen = []
    for epoch in ol.Loop(observers=()).epochs(1):
        for _ in epoch.train(step, data, every=4):
            kernel, bias, *rest = model.get_weights()
            hidden = np.maximum(x @ kernel + bias, 0)
            expected = hidden @ rest[0] + rest[1]
            np.testing.assert_allclose(host(model(x)), expected, atol=1e-5)
            model.save(tmp_path / "model.keras")
            loaded = keras.saving.load_model(tmp_path / "model.keras")
            for one, other in zip(
                loaded.get_weights(), model.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(one, other)
            seen.append(kernel.tobytes())
    assert len(set(seen)) == 2


# --------------------------------------------------------------------- going wrong


class OwnError(Exception):
    """An error of the user's."""


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("kind", [OwnError, KeyboardInterrupt])
def test_a_step_that_raises_leaves_everything_as_before_its_chunk(
    data, bits, kind, compile
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
def test_a_stop_iteration_of_the_step_is_seen_and_ends_nothing_silently(data, compile):
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


def test_metrics_too_are_as_before_the_first_chunk_where_that_fails(data, bits):
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


def test_leaving_early_keeps_what_was_done(data, bits):
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


def test_an_interrupt_in_the_users_body_keeps_the_chunk(data, bits):
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


@pytest.mark.parametrize("compile", [True, False])
def test_ctrl_c_at_any_instant_leaves_whole_chunks(bits, compile):
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
    start, interrupted = [np.array(v.numpy()) for v in optimizer.variables], 0
    assert len(start) > 4
    generator = np.random.default_rng(0)
    for delay in generator.uniform(0, 0.05, 20):
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        begin = loop.step
        try:
            timer.start()
            deadline = time.monotonic() + 10
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
    assert interrupted == 20


def test_ctrl_c_at_any_line_of_the_loops_own_code_leaves_whole_chunks(data):
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
    line, interrupted = 0, True
    while interrupted:
        line += 1
        loop, interrupted = interrupted_at(line)
        assert int(count.numpy()) == loop.step, f"line {line}"
        assert loop.step in (0, 5, 8)
        if loop.step:
            assert len(loop.history.steps["train_loss"]) == loop.step
    assert line > 200
    assert loop.step == 8


# --------------------------------------------------------------- and nothing is left


def test_nothing_is_left_of_a_fold_that_is_over(data):
    gone = []

    def fold():
        model, optimizer = make_job()
        step = make_step(model, optimizer)
        loop = ol.Loop(model=model, optimizer=optimizer, observers=())
        for epoch in loop.epochs(1):
            epoch.train(step, data, every=3).run()
        gone.extend(map(weakref.ref, (model, optimizer, step, loop, model.weights[0])))
        assert loop.compilations == {"step": 1}

    for _ in range(2):
        fold()
    gc.collect()
    assert [reference() for reference in gone] == [None] * 10


def test_folds_over_one_model_and_step_compile_once(data):
    model, optimizer = make_job()
    step, counted = make_step(model, optimizer), 0
    first = model.get_weights()
    for _ in range(5):
        model.set_weights(first)
        loop = ol.Loop(model=model, optimizer=optimizer, observers=())
        run_pass(loop, step, data)
        counted += sum(loop.compilations.values())
    assert counted == 1
