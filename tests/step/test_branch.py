"""`cond`: one branch runs, and what it assigns stays assigned."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import StepError


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_only_the_chosen_branch_changes_state(compile):
    low = keras.Variable(0.0, trainable=False)
    high = keras.Variable(0.0, trainable=False)

    def step(x):
        value = keras.ops.mean(x)

        def when_high():
            high.assign_add(value)
            return value * 10.0

        def when_low():
            low.assign_add(value)
            return value

        chosen = ol.cond(value > 2.0, when_high, when_low)
        return {"chosen": chosen}

    loop = ol.Loop(low=low, high=high, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 5.0), batch_size=1)).run()
    assert loop.history.steps["train_chosen"].tolist() == [1.0, 2.0, 30.0, 40.0]
    assert (float(low), float(high)) == (3.0, 7.0)


def test_a_python_bool_chooses_as_an_if_does():
    assert ol.cond(True, lambda: 1, lambda: 2) == 1
    assert ol.cond(False, lambda: 1, lambda: 2) == 2
    assert ol.cond(False, lambda: 1) is None
    assert ol.cond(True, lambda: 1) is None


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_variables_that_branches_return_are_the_values_they_had(compile):
    weight = keras.Variable(2.0, trainable=False)

    def step(x):
        def assigned():
            weight.assign_add(1.0)
            return {"weight": weight, "pair": [weight + 10.0, None]}

        high = keras.ops.mean(x) > 1.0
        found = ol.cond(
            high, assigned, lambda: {"weight": weight, "pair": [x[0], None]}
        )
        weight.assign(5.0)
        assert found["pair"][1] is None
        return {"weight": found["weight"], "other": found["pair"][0]}

    loop = ol.Loop(weight=weight, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 4.0), batch_size=1)).run()
    assert loop.history.steps["train_weight"].tolist() == [2.0, 6.0, 6.0]
    assert loop.history.steps["train_other"].tolist() == [1.0, 16.0, 16.0]


@pytest.mark.parametrize("compile", [True, False])
def test_the_gradient_passes_through_a_variable_that_a_branch_returns(compile):
    weight = keras.Variable(3.0)

    def step(x):
        with ol.GradientTape() as tape:
            y = ol.cond(keras.ops.mean(x) > 1.0, lambda: weight, lambda: weight * 2.0)
        return {"slope": tape.gradient(y, weight)}

    loop = ol.Loop(weight=weight, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 3.0), batch_size=1)).run()
    assert loop.history.steps["train_slope"].tolist() == [2.0, 1.0]


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_what_then_returns_is_left_out_where_there_is_no_otherwise(compile):
    weight = keras.Variable(1.0)
    count = keras.Variable(0, dtype="int32", trainable=False)
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build([weight])

    def step(x):
        high = keras.ops.mean(x) > 1.0
        pairs = [(keras.ops.ones(()), weight)]
        # The first returns a variable, the second a tensor, the third a string.
        found = [
            ol.cond(high, lambda: optimizer.apply_gradients(pairs)),
            ol.cond(high, lambda: count.assign_add(1)),
            ol.cond(high, lambda: "done"),
        ]
        assert found == [None, None, None]
        return {"weight": weight, "count": count}

    loop = ol.Loop(weight=weight, optimizer=optimizer, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 4.0), batch_size=1)).run()
    assert loop.history.steps["train_weight"].tolist() == [1.0, 0.5, 0.0]
    assert loop.history.steps["train_count"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("compile", [True, False])
def test_a_variable_may_be_the_condition(compile):
    training = keras.Variable(True, dtype="bool", trainable=False)

    def step(x):
        chosen = ol.cond(training, lambda: x[0], lambda: -x[0])
        training.assign(False)
        return {"chosen": chosen}

    loop = ol.Loop(training=training, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.arange(1.0, 4.0), batch_size=1)).run()
    assert loop.history.steps["train_chosen"].tolist() == [1.0, -2.0, -3.0]


@pytest.mark.parametrize("compile", [True, False])
def test_a_condition_that_is_no_scalar_is_refused(compile):
    def step(x):
        return keras.ops.sum(ol.cond(x > 0, lambda: x, lambda: -x))

    loop = ol.Loop(compile=compile, observers=[])
    with pytest.raises(StepError, match=r"shape \(2,\).*keras.ops.where"):
        loop.validate(step, ol.Batches(np.ones(2), batch_size=2))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda x: x[0], r"float32\[2\] and float32\[\]"),
        (lambda x: keras.ops.cast(x, "int32"), r"float32\[2\] and int32\[2\]"),
        (lambda x: 0, r"float32\[2\] and int32\[\]"),
        (lambda x: [None], "different structures"),
    ],
)
def test_branches_that_return_different_shapes_or_dtypes_are_refused(other, words):
    def step(x):
        ol.cond(keras.ops.mean(x) > 0, lambda: x, lambda: other(x))
        return keras.ops.mean(x)

    loop = ol.Loop(observers=[])
    with pytest.raises(StepError, match=words):
        loop.validate(step, ol.Batches(np.ones(2, "float32"), batch_size=2))


def test_branches_that_return_different_structures_are_refused():
    def step(x):
        return ol.cond(keras.ops.mean(x) > 0, lambda: {"a": x}, lambda: None) or 0.0

    loop = ol.Loop(observers=[])
    with pytest.raises(StepError, match="different structures"):
        loop.validate(step, ol.Batches(np.ones(2), batch_size=1))
