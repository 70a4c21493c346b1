"""What a tape refuses, in which words; what TensorFlow does is in `conformance`."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import TapeError, TapeTypeError, TapeValueError

tensor = keras.ops.convert_to_tensor


@pytest.fixture
def v():
    return keras.Variable([1.0, 2.0])


@pytest.fixture
def tape(v):
    """A closed tape that has recorded the square of v, as `tape.square`."""
    with ol.GradientTape(persistent=True) as tape:
        square = v * v
    return tape, square


@pytest.mark.parametrize("value", [3.0, None, "loss", np.ones(2)])
def test_a_target_is_a_tensor(tape, v, value):
    with pytest.raises(TapeTypeError, match=r"The target is .*must be a tensor"):
        tape[0].gradient(value, v)


@pytest.mark.parametrize("value", [3.0, None, np.ones(2)])
def test_a_source_is_a_tensor_or_variable(tape, value):
    with pytest.raises(TapeTypeError, match=r"The source is .*convert_to_tensor"):
        tape[0].gradient(tape[1], [value])


def test_a_model_is_told_to_give_its_variables(tape):
    model = keras.Sequential([keras.layers.Dense(1)], name="net")
    for sources in (model, [model]):
        with pytest.raises(
            TapeTypeError, match=r"The source is .*Sequential"
        ) as caught:
            tape[0].gradient(tape[1], sources)
        assert "`model.trainable_variables`" in str(caught.value)
        assert "convert_to_tensor" not in str(caught.value)


@pytest.mark.parametrize("value", [3.0, None, np.ones(2)])
def test_only_tensors_can_be_watched(value):
    with (
        ol.GradientTape() as tape,
        pytest.raises(TapeValueError, match=r"`watch` was given .*keras\.Variables"),
    ):
        tape.watch(value)


def test_integers_are_watched_in_vain_and_that_is_said():
    with ol.GradientTape() as tape, pytest.warns(UserWarning, match=r"int32.*None"):
        tape.watch(tensor([1, 2]))


def test_watching_belongs_into_the_block(v):
    with pytest.raises(TapeError, match=r"`watch`.*not recording.*beginning"):
        ol.GradientTape().watch(v)
    with ol.GradientTape() as tape:
        pass
    with pytest.raises(TapeError, match=r"`watch`.*not recording"):
        tape.watch(v)


def test_there_is_a_weight_for_each_target(tape, v):
    tape, square = tape
    with pytest.raises(TapeValueError, match=r"has 2 entries, and the target has 1"):
        tape.gradient(square, v, output_gradients=[square, square])


def test_a_weight_has_the_shape_of_its_target(tape, v):
    tape, square = tape
    with pytest.raises(TapeValueError, match=r"shape \(3,\).*shape \(2,\)"):
        tape.gradient(square, v, output_gradients=tensor([1.0, 2.0, 3.0]))


def test_unconnected_gradients_are_none_or_zero(tape, v):
    for ask in (tape[0].gradient, tape[0].jacobian):
        with pytest.raises(TapeValueError, match=r"'nothing'.*'none' or 'zero'"):
            ask(tape[1], v, unconnected_gradients="nothing")


def test_examples_are_counted_by_the_first_of_two_or_more_axes(tape, v):
    with pytest.raises(TapeValueError, match=r"shape \(2,\).*two or more axes"):
        tape[0].batch_jacobian(tape[1], v)
    w = keras.Variable(np.ones((2, 3), "float32"))
    with ol.GradientTape() as other:
        y = keras.ops.transpose(w) * 2.0
    with pytest.raises(TapeValueError, match=r"\(3, 2\).*\(2, 3\).*`jacobian`"):
        other.batch_jacobian(y, w)


def test_rows_one_by_one_need_a_tape_that_is_kept(v):
    with ol.GradientTape() as tape:
        square = v * v
    with pytest.raises(TapeError, match=r"experimental_use_pfor=False.*persistent"):
        tape.jacobian(square, v, experimental_use_pfor=False)


def test_stopping_and_resetting_belong_into_the_block(v):
    tape = ol.GradientTape()
    with pytest.raises(TapeError, match=r"`stop_recording`.*not recording"):
        tape.stop_recording().__enter__()
    with pytest.raises(TapeValueError, match=r"`reset`.*not recording"):
        tape.reset()


def test_a_tape_that_was_never_open_has_no_gradients(v):
    with pytest.raises(TapeError, match=r"nothing recorded.*persistent=True"):
        ol.GradientTape().gradient(v, v)
    with pytest.raises(TapeError, match=r"block was never entered"):
        ol.GradientTape(persistent=True).gradient(v, v)
