"""Weights for the target's elements: `output_gradients`."""

import keras
import numpy as np

from conformance.case import Difference, case, tensor, variable

ops = keras.ops

STAYS = {"torch": "the operation that failed stays in the traced graph"}

ONE_TO_ONE = Difference(
    "TensorFlow cuts the longer of targets and weights, and gives a number that nobody "
    "asked for",
    error="TapeValueError",
)

CAST = Difference(
    "TensorFlow fails in the middle of the calculation; ours casts the weights",
    gives=tensor([6.0, 16.0]),
)


def ones(gives):
    """None stands for ones: TensorFlow's code means to take it, and fails on it."""
    reason = "TensorFlow lets None through among the weights, and then fails on it"
    return Difference(reason, gives=tensor(gives))


@case(a=variable(3.0), x=tensor([1.0, 2.0]), w=tensor([10.0, 100.0]))
def weights_for_one_target(t, a, x, w):
    with t.GradientTape() as tape:
        target = a * x
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable([3.0, 4.0]), w=tensor([10.0, 100.0]), always_compiled=True)
def weights_reach_each_element(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable(3.0), w=tensor([10.0, 100.0]))
def weights_in_a_list_for_one_target(t, a, w):
    with t.GradientTape() as tape:
        target = a * ops.ones((2,))
    return tape.gradient(target, a, output_gradients=[w])


@case(a=variable(3.0), w=tensor([10.0, 100.0]))
def weights_for_a_list_of_one(t, a, w):
    with t.GradientTape() as tape:
        target = a * ops.ones((2,))
    return tape.gradient([target], a, output_gradients=[w])


@case(a=variable(3.0), v=tensor([10.0, 100.0]), w=tensor(7.0))
def weights_for_two_targets(t, a, v, w):
    with t.GradientTape() as tape:
        one, two = a * ops.ones((2,)), a * a
    return tape.gradient([one, two], a, output_gradients=[v, w])


@case(a=variable(3.0), v=tensor([10.0, 100.0]), differs=ones(116.0))
def none_among_the_weights_stands_for_ones(t, a, v):
    with t.GradientTape() as tape:
        one, two = a * ops.ones((2,)), a * a
    return tape.gradient([one, two], a, output_gradients=[v, None])


@case(a=variable(3.0), differs=ones(8.0))
def only_none_as_weights(t, a):
    with t.GradientTape() as tape:
        one, two = a * ops.ones((2,)), a * a
    return tape.gradient([one, two], a, output_gradients=[None, None])


@case(a=variable(3.0), v=tensor(2.0), w=tensor(7.0))
def weights_in_a_dict(t, a, v, w):
    with t.GradientTape() as tape:
        targets = {"one": a * a, "two": a * 3.0}
    weights = {"two": w, "one": v}
    return tape.gradient(targets, a, output_gradients=weights)


@case(a=variable(3.0), v=tensor(2.0), w=tensor(7.0))
def weights_in_nested_structures(t, a, v, w):
    with t.GradientTape() as tape:
        targets = [a * a, {"inner": [a * 3.0]}]
    weights = [v, {"inner": [w]}]
    return tape.gradient(targets, a, output_gradients=weights)


@case(a=variable(3.0))
def python_numbers_as_weights(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=2.0)


@case(a=variable(3.0))
def a_list_of_python_numbers_as_weights(t, a):
    with t.GradientTape() as tape:
        one, two = a * a, a * 5.0
    return tape.gradient([one, two], a, output_gradients=[2.0, 3.0])


@case(a=variable([3.0, 4.0]))
def a_numpy_array_as_weights(t, a):
    weights = np.array([1.0, 2.0], "float32")
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=weights)


@case(a=variable([3.0, 4.0]), w=variable([1.0, 2.0], trainable=False))
def a_variable_as_weights(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable([3.0, 4.0]), w=tensor([0.0, 0.0]))
def zeros_as_weights_are_no_disconnection(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable([3.0, 4.0]), w=tensor([10.0, 100.0]))
def weights_for_a_target_that_is_the_source(t, a, w):
    with t.GradientTape() as tape:
        target = a * 1.0
    return tape.gradient(target, target, output_gradients=w)


@case(a=variable(3.0), b=variable(2.0), w=tensor(5.0))
def weights_that_were_made_in_the_block(t, a, b, w):
    with t.GradientTape() as tape:
        target = a * a
        weights = b * w
    return tape.gradient(target, [a, b], output_gradients=weights)


@case(a=variable(3.0), b=variable(2.0), w=tensor(5.0))
def an_outer_tape_sees_the_weights(t, a, b, w):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            target = a * a
        weighed = inner.gradient(target, a, output_gradients=b * w)
    return [weighed, outer.gradient(weighed, [a, b])]


@case(a=variable([3.0, 4.0]), w=tensor([10.0, 100.0]))
def the_pushforward_of_two_pullbacks(t, a, w):
    with t.GradientTape() as outer:
        dummy = ops.ones((2,))
        outer.watch(dummy)
        with t.GradientTape() as inner:
            target = a * a * a
        pulled = inner.gradient(target, a, output_gradients=dummy)
    return outer.gradient(pulled, dummy, output_gradients=w)


@case(eager_only=STAYS, a=variable(3.0), w=tensor([10.0, 100.0]))
def weights_with_more_elements_than_the_target(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable([3.0, 4.0]), w=tensor(10.0))
def a_scalar_weight_for_a_vector(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(eager_only=STAYS, a=variable([3.0, 4.0]), w=tensor([[10.0], [100.0]]))
def weights_that_broadcast_to_another_shape(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(eager_only=STAYS, a=variable([3.0, 4.0]), w=tensor([1.0, 2.0, 3.0]))
def weights_of_a_shape_that_cannot_fit(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable(3.0), w=tensor(10.0), differs=ONE_TO_ONE)
def too_few_weights(t, a, w):
    with t.GradientTape() as tape:
        one, two = a * a, a * 5.0
    return tape.gradient([one, two], a, output_gradients=[w])


@case(a=variable(3.0), w=tensor(10.0), differs=ONE_TO_ONE)
def too_many_weights(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient([target], a, output_gradients=[w, w])


@case(a=variable([3.0, 4.0]), w=tensor([1, 2], "int32"), differs=CAST)
def integer_weights_for_a_float_target(t, a, w):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient(target, a, output_gradients=w)
