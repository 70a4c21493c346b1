"""Loops in several threads, each with models of its own, know nothing of each other."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.backends.births import Births
from ownloop.backends.scope import Discovery, innermost
from ownloop.guards.watching import watching


def value_of(variable):
    return float(keras.ops.convert_to_numpy(variable.value))


@contextlib.contextmanager
def entered_in_a_thread(make):
    """Let another thread stand within a block for as long as this one does."""
    is_within, may_leave = threading.Event(), threading.Event()

    def stand():
        with make() as made:
            is_within.set()
            assert may_leave.wait(60)
        return made

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(stand)
        try:
            assert is_within.wait(60)
            yield future
        finally:
            may_leave.set()


def test_a_scope_that_another_thread_has_opened_is_none_of_this_one():
    v = keras.Variable(1.0)

    def loss():
        v.assign_add(1.0)
        return (v - 5.0) ** 2

    def choose(x):
        return ol.cond(x > 0, lambda: v.assign_add(x), lambda: v.assign_add(0.0 * x))

    with entered_in_a_thread(Discovery) as other:
        assert innermost() is None
        ol.value_and_grad(loss, [v])()
        assert value_of(v) == 2.0
        choose(keras.ops.convert_to_tensor(1.0))
    assert value_of(v) == 3.0
    assert other.result().variables == ()


def test_each_thread_takes_note_of_its_own_variables():
    plain = keras.Variable.__init__
    with contextlib.ExitStack() as outer:
        with entered_in_a_thread(Births) as other:
            births = outer.enter_context(Births())
            first = keras.Variable(1.0)
        # The other one, which has begun first, has ended first.
        second = keras.Variable(2.0)
    third = keras.Variable(3.0)
    assert other.result().variables == ()
    assert [v is w for v, w in zip(births.variables, (first, second), strict=True)]
    assert keras.Variable.__init__ is plain
    assert all(v is not third for v in births.variables)


def test_who_watches_a_replay_is_told_of_the_own_thread_only():
    seen, layer = [], keras.layers.Rescaling(2.0)

    def note(*details):
        seen.append(details)

    with entered_in_a_thread(lambda: watching(note, note)):
        layer(keras.ops.ones((2,)))
    assert seen == []
    with watching(note, note):
        layer(keras.ops.ones((2,)))
    assert len(seen) == 1


@pytest.mark.in_turn
def test_a_step_that_two_threads_begin_with_at_once_is_compiled_once():
    data, begin = ol.Batches(np.ones(4, "float32"), batch_size=2), threading.Barrier(2)

    def step(x):
        time.sleep(0.2)
        return keras.ops.mean(x)

    def play(_):
        loop = ol.Loop(observers=[])
        begin.wait()
        assert loop.validate(step, data).loss == 1.0
        return sum(loop.compilations.values())

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(play, range(2))) == 1


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_loops_in_threads_end_as_they_do_one_by_one(compile):
    def play(seed):
        draw = np.random.RandomState(seed)
        x, y = draw.randn(24, 4).astype("float32"), draw.randint(0, 3, 24)
        data = ol.Batches((x, y), batch_size=8, shuffle=True, seed=seed)
        init = keras.initializers.GlorotUniform(seed)
        model = keras.Sequential(
            [
                keras.layers.Dense(6, activation="relu", kernel_initializer=init),
                keras.layers.Dropout(0.2, seed=seed),
                keras.layers.Dense(3, kernel_initializer=init),
            ]
        )
        optimizer = keras.optimizers.Adam(0.01)
        loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        low = keras.Variable(0.0, trainable=False)

        def step(x, y):
            with ol.GradientTape() as tape:
                loss = loss_of(y, model(x, training=True))
            weights = model.trainable_variables
            optimizer.apply_gradients(
                zip(tape.gradient(loss, weights), weights, strict=True)
            )
            ol.cond(
                loss < 1.2, lambda: low.assign_add(1.0), lambda: low.assign_add(0.0)
            )
            return loss

        loop = ol.Loop(
            model=model, optimizer=optimizer, low=low, observers=[], compile=compile
        )
        for epoch in loop.epochs(2):
            for _ in epoch.train(step, data, every=1):
                pass
            epoch.validate(lambda x, y: loss_of(y, model(x)), data)
        variables = *model.variables, *optimizer.variables, low
        values = [keras.ops.convert_to_numpy(v.value).tobytes() for v in variables]
        return values, loop.history.steps["train_loss"].tolist()

    plain = keras.Variable.__init__
    alone = [play(seed) for seed in (1, 2, 3)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(play, (1, 2, 3))) == alone
    assert keras.Variable.__init__ is plain
