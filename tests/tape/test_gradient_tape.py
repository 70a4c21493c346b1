"""`GradientTape`: the words of TensorFlow's class, against gradients known on paper."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import TapeError

tensor = keras.ops.convert_to_tensor


def number(value):
    # Not `convert_to_numpy`: on PyTorch it asks NumPy in a way that NumPy warns about.
    value = keras.ops.stop_gradient(value)
    return np.asarray(value.tolist() if hasattr(value, "tolist") else value.numpy())


@pytest.fixture
def a():
    return keras.Variable(3.0)


@pytest.fixture
def b():
    return keras.Variable(5.0)


def test_sources_keep_their_structure(a, b):
    with ol.GradientTape(persistent=True) as tape:
        loss = a * a * b
    for sources in ([a, b], (b, a), {"a": a, "b": [b]}, a):
        found = tape.gradient(loss, sources)
        keras.tree.assert_same_structure(found, sources)
    assert number(tape.gradient(loss, a)) == 30.0
    assert number(tape.gradient(loss, {"a": a, "b": [b]})["b"][0]) == 9.0


def test_several_targets_and_their_elements_are_summed(a, b):
    with ol.GradientTape(persistent=True) as tape:
        one, two = a * tensor([1.0, 2.0]), a * b
    assert number(tape.gradient(one, a)) == 3.0
    assert number(tape.gradient([one, two], a)) == 8.0
    assert number(tape.gradient({"one": one, "two": (two,)}, b)) == 3.0


def test_output_gradients_weigh_the_elements_of_the_target(a):
    with ol.GradientTape(persistent=True) as tape:
        target, other = a * tensor([1.0, 2.0]), a * 10.0
    weights = tensor([10.0, 100.0])
    assert number(tape.gradient(target, a, output_gradients=weights)) == 210.0
    both = tape.gradient([target, other], a, output_gradients=[weights, None])
    assert number(both) == 220.0


def test_gradients_have_the_shapes_of_their_sources():
    matrix = keras.Variable(np.ones((2, 3), "float32"))
    with ol.GradientTape() as tape:
        loss = keras.ops.sum(keras.ops.matmul(tensor([[1.0, 2.0]]), matrix))
    found = number(tape.gradient(loss, matrix))
    np.testing.assert_array_equal(found, [[1.0] * 3, [2.0] * 3])


def test_what_the_target_does_not_depend_on_is_none_or_zero(a, b):
    with ol.GradientTape(persistent=True) as tape:
        loss = a * 2.0
    assert tape.gradient(loss, [a, b])[1] is None
    zero = tape.gradient(loss, [a, b], unconnected_gradients="zero")[1]
    assert number(zero) == 0.0
    assert number(zero).shape == ()
    with pytest.raises(ValueError, match=r"'nothing'.*'none' or 'zero'"):
        tape.gradient(loss, a, unconnected_gradients="nothing")


def test_a_frozen_variable_is_not_watched_unless_asked_for(b):
    frozen = keras.Variable(3.0, trainable=False)
    with ol.GradientTape() as tape:
        loss = frozen * b
    assert tape.gradient(loss, frozen) is None
    with ol.GradientTape() as tape:
        tape.watch(frozen)
        loss = frozen * b
    assert number(tape.gradient(loss, frozen)) == 5.0


def test_only_what_is_asked_for_is_watched(a, b):
    with ol.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([a])
        loss = a * b
    found = tape.gradient(loss, [a, b])
    assert number(found[0]) == 5.0
    assert found[1] is None


def test_tensors_are_watched_on_request(a):
    x = tensor([1.0, 2.0])
    with ol.GradientTape() as tape:
        tape.watch({"x": x})
        loss = keras.ops.sum(a * x * x)
    np.testing.assert_array_equal(number(tape.gradient(loss, x)), [6.0, 12.0])


def test_a_tape_gives_gradients_once(a):
    with ol.GradientTape() as tape:
        loss = a * a
    tape.gradient(loss, a)
    with pytest.raises(TapeError, match=r"second time.*persistent=True"):
        tape.gradient(loss, a)


def test_a_persistent_tape_gives_them_as_often_as_one_likes(a, b):
    with ol.GradientTape(persistent=True) as tape:
        loss = a * b
        twice = loss * loss
    assert number(tape.gradient(loss, a)) == 5.0
    assert number(tape.gradient(loss, a)) == 5.0
    assert number(tape.gradient(twice, b)) == 90.0


def test_a_gradient_may_be_taken_inside_the_block(a):
    with ol.GradientTape() as tape:
        loss = a * a
        inside = tape.gradient(loss, a)
    assert number(inside) == 6.0


def test_values_of_the_block_can_be_used_after_it(a):
    with ol.GradientTape() as tape:
        loss = a * a
    scaled = loss * 2.0 + 1.0
    assert number(scaled) == 19.0
    assert number(tape.gradient(loss, a)) == 6.0


def test_two_tapes_may_be_open_at_once(a, b):
    with ol.GradientTape() as outer:
        left = a * b
        with ol.GradientTape() as inner:
            right = a * a
        loss = left + right
    assert number(inner.gradient(right, a)) == 6.0
    assert number(outer.gradient(loss, a)) == 11.0


def test_a_tape_is_not_opened_twice(a):
    with ol.GradientTape() as tape, pytest.raises(TapeError, match="recording already"):
        tape.__enter__()


def test_an_exception_closes_the_tape_and_passes_through(a):
    mine = KeyError("mine")

    def block():
        with ol.GradientTape():
            raise mine

    with pytest.raises(KeyError) as caught:
        block()
    assert caught.value is mine
    with ol.GradientTape() as tape:
        loss = a * a
    assert number(tape.gradient(loss, a)) == 6.0


def test_a_compiled_step_sees_the_same_gradients(a, b):
    frozen = keras.Variable(2.0, trainable=False)

    def step(x):
        with ol.GradientTape(persistent=True) as tape:
            tape.watch(x)
            loss = keras.ops.sum(a * x * frozen)
        found = tape.gradient(loss, {"a": a, "b": b, "frozen": frozen})
        by_x = tape.gradient(loss, x)
        assert found["b"] is None
        assert found["frozen"] is None
        weighed = tape.gradient(loss, a, output_gradients=tensor(10.0))
        return {"a": found["a"], "weighed": weighed, "x": keras.ops.sum(by_x)}

    loop = ol.Loop(observers=[])
    data = ol.Batches(np.array([1.0, 2.0], "float32"), batch_size=2)
    values = loop.validate(step, data)
    assert dict(values) == {"a": 6.0, "weighed": 60.0, "x": 12.0}
    assert loop.compilations == {"step": 1}
