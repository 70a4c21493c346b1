"""Whatever a step reads or changes is state: found, carried, and written back.

Between chunks the Keras objects hold the current values, and what the user assigns is
where the next chunk starts. Nothing is left of it when the user's objects are gone.
"""

import gc
import weakref

import keras
import numpy as np
import pytest

import ownloop as ol

# ------------------------------------------------------------------ what is created


@pytest.mark.in_turn
def test_what_the_first_step_creates_has_its_initial_values(
    data, bits, make_job, make_step
):
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


@pytest.mark.in_turn
def test_nothing_is_changed_by_looking_for_the_state(
    bits, make_data, make_job, make_step, run_pass
):
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


@pytest.mark.in_turn
def test_interleaved_loops_over_one_model_see_each_other(
    data, bits, make_job, make_step
):
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


@pytest.mark.in_turn
def test_two_steps_that_share_a_model_train_it_in_turn(data, host, make_job):
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


@pytest.mark.in_turn
@pytest.mark.parametrize("how", ["set_weights", "assign"])
def test_a_teacher_that_takes_the_students_weights_is_no_part_of_it(
    data, bits, how, make_job, make_step
):
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


def test_two_variables_that_are_given_one_array_stay_two(data, host, run_pass):
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


@pytest.mark.in_turn
def test_arrays_that_the_user_kept_stay_as_they_were(
    backend, data, host, make_job, make_step
):
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


@pytest.mark.in_turn
def test_the_users_data_are_not_changed(data, make_data, make_job, make_step, run_pass):
    x, y = make_data()
    copies = x.copy(), y.copy()
    model, optimizer = make_job()
    loop, step = ol.Loop(observers=()), make_step(model, optimizer)
    run_pass(loop, step, ol.Batches((x, y), batch_size=4), every=3)
    run_pass(loop, step, [(x[:4], y[:4])])
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])


@pytest.mark.in_turn
def test_changing_the_data_after_a_pass_began_is_not_seen_in_it(
    bits, make_data, make_job, make_step
):
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


@pytest.mark.in_turn
def test_calling_and_saving_the_model_in_the_loop_sees_current_weights(
    data, host, tmp_path, make_data, make_job, make_step
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


# --------------------------------------------------------------- and nothing is left


@pytest.mark.in_turn
def test_nothing_is_left_of_a_fold_that_is_over(data, make_job, make_step):
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


@pytest.mark.in_turn
def test_folds_over_one_model_and_step_compile_once(
    data, make_job, make_step, run_pass
):
    model, optimizer = make_job()
    step, counted = make_step(model, optimizer), 0
    first = model.get_weights()
    for _ in range(5):
        model.set_weights(first)
        loop = ol.Loop(model=model, optimizer=optimizer, observers=())
        run_pass(loop, step, data)
        counted += sum(loop.compilations.values())
    assert counted == 1


def test_a_variable_that_is_used_only_while_the_step_is_compiled_is_refused(backend):
    looks = 2 if backend == "tensorflow" else 1
    early, late, calls = keras.Variable(1.0), keras.Variable(2.0, name="late"), []

    def step():
        calls.append(0)
        return early * (late if len(calls) > looks else 3.0)

    epochs = ol.Loop(observers=()).epochs(1)
    epoch = next(epochs)
    with pytest.raises(
        ol.errors.StepError,
        match=r"used the variable 'late.* while it was compiled, but not when its "
        r"state was looked for.*Create the variable outside the step",
    ):
        epoch.train(step, steps=1).run()
