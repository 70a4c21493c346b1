"""A step that is compiled again, for other variables, is captured with all of them."""

import functools
import os
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed, end_of_process
from ownloop.checkpoints import Store, writing
from ownloop.errors import LoopError
from ownloop.events import Notice
from ownloop.loop.run_files import RunFiles
from ownloop.resume.names import Names


def value_of(variable):
    return np.asarray(keras.ops.convert_to_numpy(variable)).tolist()


def swap(folder, at=None, *, owned, compile=True):
    """Trains with one optimizer, with another, and with the first one again."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    early, late = keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.01)
    optimizer = early

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x) - 1.0) ** 2)
        weights = model.trainable_variables
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}

    rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    data = ol.Batches(rows, batch_size=2)
    objects = {"model": model} | ({"early": early, "late": late} if owned else {})
    loop = ol.Loop(folder=folder, save=2, observers=[], compile=compile, **objects)
    for epoch in loop.epochs(5):
        optimizer = late if epoch.number in (3, 4) else early
        for _ in epoch.train(step, data, every=1):
            if loop.step == at:
                raise Killed
    counts = value_of(early.iterations), value_of(late.iterations)
    weights = [value_of(weight) for weight in model.weights]
    return counts, weights, loop.history.steps["train_loss"].tolist()


@pytest.fixture(scope="module")
def whole_swap(tmp_path_factory):
    """Return what gives a run that nobody killed, trained when first asked for."""
    return functools.cache(lambda **how: swap(tmp_path_factory.mktemp("whole"), **how))


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(
    ("owned", "kills", "compile"),
    [
        (False, [11, 19], True),
        (True, [7], True),
        (False, [11, 15], True),
        (False, [7], False),
        (True, [11, 15], False),
        (True, [11, 19], False),
    ],
)
def test_another_optimizer_under_an_old_name_goes_on_with_its_own(
    tmp_path, whole_swap, owned, kills, compile
):
    how = {"owned": owned, "compile": compile}
    expected = whole_swap(**how)
    for at in kills:
        with pytest.raises(Killed):
            swap(tmp_path, at, **how)
    counts, weights, losses = swap(tmp_path, **how)
    assert weights == expected[1]
    assert losses == expected[2]
    assert expected[0] == (12, 8)
    # What nobody owns, and no step of this process has met, keeps its value waiting.
    assert counts == ((12, 0) if kills[-1] == 19 and not owned else (12, 8))


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(("at", "compile"), [(11, True), (15, False), (15, True)])
def test_a_round_that_comes_back_to_the_first_optimizer_goes_on_with_it(
    tmp_path, monkeypatch, at, compile
):
    monkeypatch.setattr(RunFiles, "was_kept_here", False)

    def play(folder, at=None):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        early, late = keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.01)
        optimizer = early
        for made in (early, late):
            made.build(model.trainable_variables)

        def step(x):
            with ol.GradientTape() as tape:
                loss = keras.ops.mean((model(x) - 1.0) ** 2)
            weights = model.trainable_variables
            gradients = tape.gradient(loss, weights)
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return {"loss": loss}

        rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        data = ol.Batches(rows, batch_size=4)
        objects = {"model": model, "optimizer": early}
        loop = ol.Loop(folder=folder, save=1, observers=[], compile=compile, **objects)
        for epoch in loop.epochs(4):
            optimizer = late if epoch.number > 1 else early
            epoch.train(step, data).run()
        optimizer = early
        for epoch in loop.epochs(6):
            epoch.train(step, data, name="other").run()
            for _ in epoch.train(step, data, every=1):
                if loop.step == at:
                    raise Killed
        return loop.history.steps["train_loss"].tolist()

    expected = play(tmp_path / "whole")
    with pytest.raises(Killed):
        play(tmp_path / "killed", at)
    assert play(tmp_path / "killed") == expected


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize("at", [9, 13, 17])
def test_where_an_epoch_begins_the_numbers_of_keras_tell_optimizers_apart(
    tmp_path, monkeypatch, at
):
    # Saved last where the epoch began; at 9 the run had never seen the second one.
    monkeypatch.setattr(RunFiles, "was_kept_here", False)

    def in_a_new_process(*arguments):
        keras.utils.clear_session()  # Keras numbers from the begin again.
        return swap(*arguments, owned=False)

    expected = in_a_new_process(tmp_path / "whole")
    with pytest.raises(Killed):
        in_a_new_process(tmp_path / "killed", at)
    counts, *killed = in_a_new_process(tmp_path / "killed")
    assert tuple(killed) == expected[1:]
    # Whether the last save is of the epoch that is over is a matter of time. If so, no
    # step of this process meets the second one, whose value waits.
    assert counts in (expected[0], (12, 0))


@pytest.mark.in_turn
def test_a_cell_that_is_run_once_more_goes_on_with_its_optimizer(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    data = ol.Batches(np.ones((4, 3), "float32"), batch_size=2)

    def cell(asked):
        optimizer = keras.optimizers.Adam(0.1)  # Has a higher number each time.

        def step(x):
            with ol.GradientTape() as tape:
                loss = keras.ops.mean(model(x) ** 2)
            weights = model.trainable_variables
            gradients = tape.gradient(loss, weights)
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return {"loss": loss}

        loop = ol.Loop(folder=tmp_path, observers=[], model=model)
        for epoch in loop.epochs(2):
            epoch.train(step, data).run()
            if asked and epoch.number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
        return value_of(optimizer.iterations)

    with pytest.raises(SystemExit):
        cell(asked=True)
    assert cell(asked=False) == 4


@pytest.mark.in_turn
@pytest.mark.parametrize("at", [7, 9, 11])
def test_a_metric_that_each_epoch_makes_anew_needs_no_name(tmp_path, at):
    def play(name, at=None):
        weight = keras.Variable(0.0)
        mean = None

        def step(x):
            weight.assign_add(keras.ops.mean(x))
            mean.update_state(weight)
            return {"loss": weight * 1.0, "mean": mean}

        data = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)
        loop = ol.Loop(folder=tmp_path / name, save=2, observers=[], weight=weight)
        for epoch in loop.epochs(4):
            mean = keras.metrics.Mean()
            for _ in epoch.train(step, data, every=1):
                if loop.step == at:
                    raise Killed
        return loop.history["train_mean"].tolist()

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == expected


def factory(folder, at=None, *, compile, asked=False):
    """Trains two weights that nobody owns, each in a step of its own."""

    def make(weight):
        def step(x):
            weight.assign_add(keras.ops.mean(x))
            return {"loss": weight * 1.0}

        return step

    weights = [keras.Variable(0.0), keras.Variable(1000.0)]
    steps = [make(weight) for weight in weights]
    data = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)
    loop = ol.Loop(folder=folder, save=2, observers=[], compile=compile)
    for epoch in loop.epochs(2):
        for step in steps:
            for _ in epoch.train(step, data, every=1):
                if loop.step == at:
                    raise Killed
        if asked and epoch.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)
    return [value_of(weight) for weight in weights]


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("kills", "compile"),
    [
        ([3], True),
        ([5], False),
        ([7], True),
        ([11], False),
        ([13], True),
        ([15], False),
        ([3, 7, 11, 15], True),
    ],
)
def test_each_step_of_a_factory_goes_on_with_its_own_variable(tmp_path, kills, compile):
    for at in kills:
        with pytest.raises(Killed):
            factory(tmp_path, at, compile=compile)
    assert factory(tmp_path, compile=compile) == [28.0, 1028.0]


@pytest.mark.in_turn
def test_what_cannot_be_told_apart_is_not_guessed(tmp_path):
    keras.utils.clear_session()
    with pytest.raises(SystemExit):
        factory(tmp_path, compile=False, asked=True)
    # The same process makes variables with other numbers.
    with pytest.raises(LoopError, match=r"2 sets of variables .* cannot be known"):
        factory(tmp_path, compile=False)
    keras.utils.clear_session()
    assert factory(tmp_path, compile=False) == [28.0, 1028.0]


def in_turns(folder, at=None, *, rates=(0.1, 0.2)):
    """Trains with some rates in turns; returns what is said of values that are others.

    Ends behind the pass that came to step `at`.
    """
    weight, said = keras.Variable(1.0, name="weight"), []

    def make_step(rate):
        def step(x):
            weight.assign(weight * 0.9 + rate * keras.ops.mean(x))
            return {"loss": weight * 1.0}

        return step

    def note(event):
        if isinstance(event, Notice) and "reads other values" in event.text:
            said.append(event.text)

    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=2)
    loop = ol.Loop(folder=folder, save=1, observers=[note], weight=weight)
    try:
        for epoch in loop.epochs(4):
            for rate in rates:
                epoch.train(make_step(rate), data).run()
                if loop.step == at:
                    raise Killed
    finally:
        end_of_process(loop)
    return said


@pytest.mark.once
@pytest.mark.parametrize("kills", [[4], [6], [8, 10, 12]])
def test_steps_of_a_factory_that_take_turns_are_no_news(tmp_path, kills):
    for at in kills:
        with pytest.raises(Killed):
            in_turns(tmp_path, at)
    assert in_turns(tmp_path) == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("at", "words"), [(6, "was 0.1 and is 0.4"), (8, "was 0.2 and is 0.3")]
)
def test_steps_that_take_turns_with_other_numbers_than_before_are_told(
    tmp_path, at, words
):
    with pytest.raises(Killed):
        in_turns(tmp_path, at)
    (said,) = in_turns(tmp_path, rates=(0.3, 0.4))
    assert f"than before the run was interrupted: rate {words}" in said


def returned(names, objects):
    """Names of another process, which takes over what these have given."""
    paths = {name: variable.path for name, variable in names.variables().items()}
    later = Names(objects)
    later.expect(names.steps, names.calls, paths)
    return later


def test_fewer_variables_are_refused_and_more_make_another_program():
    def found(*words):
        return [keras.Variable(0.0, name=word) for word in words]

    weight = keras.Variable(0.0, name="weight")
    names = Names({"weight": weight})
    names.note("train", [weight, *found("seen", "slot")])
    later = returned(names, {"weight": weight})
    with pytest.raises(LoopError, match="2 variables, and there were 3"):
        later.note("train", [weight, *found("seen")])
    more = found("other", "slot", "seen")
    later.note("train", [weight, *more])
    assert later.of(more) == ["found/2", "found/1", "found/0"]


def test_a_program_of_named_variables_alone_needs_no_order():
    first, second = keras.Variable(0.0), keras.Variable(0.0)
    objects = {"first": first, "second": second}
    names = Names(objects)
    names.note("train", [first])
    later = returned(names, objects)
    later.note("train", [second])
    assert later.steps == {"train": [["first/0"], ["second/0"]]}


def test_an_eager_program_has_one_order_which_grows():
    names = Names({})
    first, second = keras.Variable(0.0), keras.Variable(0.0)
    names.note("train", [first], is_traced=False)
    names.note("train", [first, second], is_traced=False)
    assert names.steps == {"train": [["found/0", "found/1"]]}


@pytest.mark.in_turn
@pytest.mark.parametrize(("at", "compile"), [(5, True), (6, True), (9, False)])
def test_another_optimizer_that_no_save_has_seen_is_a_new_one(tmp_path, at, compile):
    def play(name, at=None):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        early, late = keras.optimizers.Adam(0.1), keras.optimizers.SGD(0.1, 0.9)
        seen, optimizer = keras.metrics.Mean(name="seen"), early

        def step(x):
            with ol.GradientTape() as tape:
                loss = keras.ops.mean((model(x) - 1.0) ** 2)
            weights = model.trainable_variables
            gradients = tape.gradient(loss, weights)
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
            seen.update_state(loss)
            return {"loss": loss, "seen": seen}

        rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        data = ol.Batches(rows, batch_size=2)
        # So that each epoch is saved at its end, and at no other time.
        options = {"save": None, "keep": ol.Keep(best=1, by="train_loss")}
        objects = {"model": model, "early": early}
        folder = tmp_path / name
        loop = ol.Loop(
            folder=folder, observers=[], compile=compile, **options, **objects
        )
        for epoch in loop.epochs(3):
            optimizer = early if epoch.number == 1 else late
            for _ in epoch.train(step, data, every=1):
                if loop.step == at:
                    raise Killed
        return loop.history.steps["train_loss"].tolist(), value_of(late.iterations)

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == expected


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(("at", "compile"), [(7, True), (9, False), (12, True)])
def test_an_optimizer_that_each_epoch_makes_anew_begins_with_nothing(
    tmp_path, monkeypatch, at, compile
):
    monkeypatch.setattr(RunFiles, "was_kept_here", False)

    def play(name, at=None):
        keras.utils.clear_session()  # Keras numbers from the begin again.
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

        def step_with(optimizer):
            def step(x):
                with ol.GradientTape() as tape:
                    loss = keras.ops.mean((model(x) - 1.0) ** 2)
                weights = model.trainable_variables
                gradients = tape.gradient(loss, weights)
                optimizer.apply_gradients(zip(gradients, weights, strict=True))
                return {"loss": loss}

            return step

        rows = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        data = ol.Batches(rows, batch_size=2)
        folder = tmp_path / name
        loop = ol.Loop(
            folder=folder, save=1, observers=[], compile=compile, model=model
        )
        for epoch in loop.epochs(4):
            step = step_with(keras.optimizers.Adam(0.1 / epoch.number))
            for _ in epoch.train(step, data, every=1):
                if loop.step == at:
                    raise Killed
        weights = [value_of(weight) for weight in model.weights]
        return weights, loop.history.steps["train_loss"].tolist()

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == expected


@pytest.mark.in_turn
def test_what_many_calls_of_an_epoch_reach_is_written_once(tmp_path, monkeypatch):
    # The words of a checkpoint have a limit, and an epoch may have any number of calls.
    monkeypatch.setattr(writing, "META_LIMIT", 60_000)
    weights = [keras.Variable(1.0, name=f"weight_{i}") for i in range(50)]
    data = ol.Batches(np.ones(1, "float32"), batch_size=1)

    def step(x):
        return {"loss": sum(weight.value for weight in weights)}

    loop = ol.Loop(compile=False, observers=[], folder=tmp_path, save=150)
    for epoch in loop.epochs(1):
        for _ in range(151):
            epoch.train(step, data).run()
    names = Store(tmp_path / "checkpoints", run=None).names()
    assert any(name.startswith("step-150") for name in names)
