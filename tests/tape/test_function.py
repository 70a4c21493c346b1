"""`value_and_grad`: values, gradients and assignments of a function."""

import keras
import numpy as np
import pytest

import ownloop as ol


def number(value):
    # Not `convert_to_numpy`: on PyTorch it asks NumPy in a way that NumPy warns about.
    value = keras.ops.stop_gradient(value)
    return np.asarray(value.tolist() if hasattr(value, "tolist") else value.numpy())


def test_gradients_have_the_structure_of_the_variables():
    a, b = keras.Variable(3.0), keras.Variable([1.0, 2.0])
    variables = {"a": a, "rest": [b]}
    function = ol.value_and_grad(lambda x: keras.ops.sum(a * b * x), variables)
    value, gradients = function(2.0)
    keras.tree.assert_same_structure(gradients, variables)
    assert number(value) == 18.0
    assert number(gradients["a"]) == 6.0
    np.testing.assert_array_equal(number(gradients["rest"][0]), [6.0, 6.0])


def test_a_variable_without_influence_has_zeros():
    a, b = keras.Variable(3.0), keras.Variable([1.0, 2.0])
    _, gradients = ol.value_and_grad(lambda: a * a, [a, b])()
    np.testing.assert_array_equal(number(gradients[1]), [0.0, 0.0])


def test_whatever_else_the_function_returns_comes_along():
    a = keras.Variable(3.0)
    function = ol.value_and_grad(lambda x: (a * x, {"doubled": 2 * x}), a, has_aux=True)
    (value, aux), gradient = function(5.0)
    assert (number(value), aux["doubled"], number(gradient)) == (15.0, 10.0, 5.0)


def test_keyword_arguments_are_handed_to_the_function_as_they_are():
    a, seen = keras.Variable(3.0), []

    def loss_of(x, *, scale, training=False):
        seen.append(training)
        return a * a * x * scale

    value, gradient = ol.value_and_grad(loss_of, a)(2.0, scale=5.0, training=True)
    assert (number(value), number(gradient)) == (90.0, 60.0)
    assert all(flag is True for flag in seen)
    tensor = keras.ops.convert_to_tensor(3.0)
    value, gradient = ol.value_and_grad(loss_of, a)(scale=tensor, x=2.0)
    assert (number(value), number(gradient)) == (54.0, 36.0)


@pytest.mark.parametrize("compile", [True, False])
def test_keyword_arguments_may_be_tensors_of_a_step(compile):
    weight = keras.Variable(1.0)

    def step(x, y):
        loss_of = lambda x, y: keras.ops.sum((weight * x - y) ** 2)  # noqa: E731
        loss, gradient = ol.value_and_grad(loss_of, weight)(x, y=y)
        weight.assign(weight - 0.25 * gradient)
        return loss

    loop = ol.Loop(weight=weight, compile=compile, observers=[])
    ones = np.ones(2, "float32")
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches((ones, 3 * ones), batch_size=1)).run()
    assert loop.history.steps["train_loss"].tolist() == [4.0, 1.0]
    assert number(weight.value) == 2.5


@pytest.mark.parametrize("compile", [True, False])
def test_state_is_assigned_once(compile):
    weight = keras.Variable(1.0)
    calls = keras.Variable(0.0, trainable=False)
    mean = keras.metrics.Mean()

    def loss_of(x):
        calls.assign_add(1.0)
        loss = keras.ops.sum(weight * x)
        mean.update_state(loss)
        return loss

    def step(x):
        loss, gradient = ol.value_and_grad(loss_of, weight)(x)
        weight.assign(weight - 0.5 * gradient)
        return {"loss": loss, "mean": mean}

    loop = ol.Loop(weight=weight, calls=calls, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        result = epoch.train(
            step, ol.Batches(np.ones(3, "float32"), batch_size=1)
        ).run()
    assert number(calls.value) == 3.0
    assert number(weight.value) == -0.5
    assert loop.history.steps["train_loss"].tolist() == [1.0, 0.5, 0.0]
    assert (result.loss, result.mean) == (0.5, 0.5)
