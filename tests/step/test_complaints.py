"""Complaints of Keras' optimizers are explained; the user's own errors are not."""

import keras
import pytest

from ownloop.errors import StepError
from ownloop.step.complaints import explain


def caught(function):
    try:
        function()
    except ValueError as error:
        return error
    raise AssertionError("nothing was raised")


def test_no_gradient_at_all_becomes_an_error_of_the_step():
    optimizer = keras.optimizers.SGD()
    variable = keras.Variable(1.0)
    error = caught(lambda: optimizer.apply_gradients([(None, variable)]))
    with pytest.raises(StepError, match=r"no gradient.*GradientTape") as raised:
        explain(error)
    assert raised.value.__cause__ is error


def test_of_two_optimizers_the_one_without_gradients_is_named():
    first, second = keras.optimizers.Adam(), keras.optimizers.SGD(name="second")
    variable = keras.Variable(1.0)
    first.apply([keras.ops.ones(())], [variable])
    error = caught(lambda: second.apply([None], [variable]))
    with pytest.raises(StepError, match=r"^The optimizer 'second' got no gradient"):
        explain(error)


def test_an_unknown_variable_gets_a_note():
    optimizer = keras.optimizers.SGD()
    known, unknown = keras.Variable(1.0), keras.Variable(1.0)
    optimizer.build([known])
    one = keras.ops.ones(())
    error = caught(lambda: optimizer.apply_gradients([(one, unknown)]))
    explain(error)
    assert "optimizer.build(model.trainable_variables)" in error.__notes__[0]


@pytest.mark.parametrize(
    "words", ["No gradients provided for any variable.", "Unknown variable: x"]
)
def test_the_same_words_of_the_user_are_left_alone(words):
    def mine():
        raise ValueError(words)

    error = caught(mine)
    explain(error)
    assert not hasattr(error, "__notes__")
