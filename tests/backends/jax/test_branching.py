"""`keras.ops.cond` in a step on JAX: what its branches assign is carried out."""

import keras
import numpy as np
import pytest
from keras.src.ops.core import Cond

import ownloop as ol

ops = keras.ops


def run(step, *, compile=True):
    loop = ol.Loop(compile=compile, observers=[])
    data = ol.Batches(np.array([1.0, -1.0, 2.0], "float32"), batch_size=1)
    for epoch in loop.epochs(1):
        epoch.train(step, data).run()
    return loop.history.steps


@pytest.mark.parametrize("compile", [True, False])
def test_what_a_branch_assigns_stays_assigned(compile):
    total = keras.Variable(0.0, trainable=False)
    below = keras.Variable(0, dtype="int32", trainable=False)

    def step(x):
        def add():
            total.assign_add(x[0])
            return total * 2.0

        def count():
            below.assign_add(1)
            return x[0]

        return {"chosen": ops.cond(x[0] > 0, add, count), "total": total}

    steps = run(step, compile=compile)
    assert steps["train_chosen"].tolist() == [2.0, -1.0, 6.0]
    assert steps["train_total"].tolist() == [1.0, 1.0, 3.0]
    assert int(below.value) == 1


def test_a_branch_within_a_branch_assigns_too():
    total = keras.Variable(0.0, trainable=False)

    def step(x):
        def more():
            ops.cond(x[0] > 1, lambda: assign(10.0), lambda: assign(1.0))

        def assign(value):
            total.assign_add(value)

        ops.cond(x[0] > 0, more, lambda: None)
        return total

    assert run(step)["train_loss"].tolist() == [1.0, 1.0, 11.0]


def test_the_gradient_passes_through_a_branch_that_assigns():
    weight = keras.Variable(3.0)
    calls = keras.Variable(0.0, trainable=False)

    def step(x):
        def square():
            calls.assign_add(1.0)
            return weight * weight

        with ol.GradientTape() as tape:
            y = ops.cond(x[0] > 0, square, lambda: weight * 1.0)
        return {"slope": tape.gradient(y, weight), "calls": calls}

    steps = run(step)
    assert steps["train_slope"].tolist() == [6.0, 1.0, 6.0]
    assert steps["train_calls"].tolist() == [1.0, 1.0, 2.0]


def test_in_a_scope_of_the_users_own_it_is_keras_own():
    weight = keras.Variable(3.0)

    def step(x):
        with keras.StatelessScope([(weight, x[0])]):
            return ops.cond(x[0] > 0, lambda: weight * 2.0, lambda: weight * 1.0)

    assert run(step)["train_loss"].tolist() == [2.0, -1.0, 4.0]


def test_branches_that_differ_are_told_so_in_jaxs_words():
    def step(x):
        return ops.cond(x[0] > 0, lambda: x, lambda: x[0])

    with pytest.raises(TypeError, match="cond branch"):
        run(step)


def test_keras_class_is_as_keras_made_it_when_no_step_runs():
    before = vars(Cond)["call"]
    during = []

    def step(x):
        during.append(vars(Cond)["call"])
        return ops.cond(x[0] > 0, lambda: x[0], lambda: -x[0])

    run(step)
    assert before not in during
    assert vars(Cond)["call"] is before
