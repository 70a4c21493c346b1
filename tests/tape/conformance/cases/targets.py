"""What may stand in `target`: shapes, several of them, and what is no tensor."""

import keras
import numpy as np

from conformance.case import Difference, case, tensor, variable

ops = keras.ops

INTEGERS = ".*has no gradients"
"""What is said of a tensor that is watched in vain."""


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def the_elements_of_a_target_are_summed(t, a, x):
    with t.GradientTape() as tape:
        target = a * a * x
    return tape.gradient(target, a)


@case(a=variable(3.0), x=tensor([[1.0, 2.0], [3.0, 4.0]]), always_compiled=True)
def several_targets_are_summed(t, a, x):
    with t.GradientTape() as tape:
        one, two = a * x, a * a
    return tape.gradient([one, two], a)


@case(a=variable(3.0), b=variable(2.0))
def a_dict_of_targets(t, a, b):
    with t.GradientTape() as tape:
        targets = {"one": a * b, "rest": [a * a, (b * 7.0,)]}
    return tape.gradient(targets, [a, b])


@case(a=variable(3.0))
def the_same_target_twice(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.gradient([target, target], a)


@case(a=variable(3.0), b=variable(2.0))
def a_target_that_leads_to_another(t, a, b):
    with t.GradientTape() as tape:
        first = a * b
        second = first * first
    return tape.gradient([second, first], [a, b])


@case(a=variable(3.0))
def a_variable_as_target_and_source(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.gradient(a, a)


@case(a=variable(3.0))
def a_variable_that_was_never_read_as_both(t, a):
    with t.GradientTape() as tape:
        pass
    return tape.gradient(a, a)


@case(a=variable(3.0), b=variable(2.0))
def a_variable_among_the_targets(t, a, b):
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient([loss, a], [a, b])


@case(x=tensor([1.0, 2.0]))
def a_watched_tensor_as_target_and_source(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
    return tape.gradient(x, x)


@case(x=tensor([1.0, 2.0]))
def an_unwatched_tensor_as_target_and_source(t, x):
    with t.GradientTape() as tape:
        pass
    return tape.gradient(x, x)


@case(x=tensor([1.0, 2.0]))
def an_unwatched_tensor_as_both_among_operations(t, x):
    with t.GradientTape() as tape:
        x * 2.0
    return tape.gradient(x, x)


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def a_target_that_is_also_a_source(t, a, x):
    with t.GradientTape() as tape:
        target = a * x
    return tape.gradient(target, [target, a])


@case(a=variable(3.0))
def a_target_made_before_the_block(t, a):
    target = a * a
    with t.GradientTape() as tape:
        a * 1.0
    return tape.gradient(target, a)


@case(a=variable(3.0))
def a_target_made_after_the_block(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss * 2.0, a)


@case(a=variable(3.0))
def a_target_of_constants(t, a):
    with t.GradientTape() as tape:
        target = ops.ones((2,)) * 2.0
    return tape.gradient(target, a)


@case(a=variable(3.0))
def target_none(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.gradient(None, a)


@case(a=variable(3.0))
def a_none_among_targets(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient([loss, None], a)


@case(a=variable(3.0))
def an_empty_list_of_targets(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.gradient([], a)


@case(a=variable(3.0))
def a_python_number_as_target(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.gradient(9.0, a)


@case(a=variable(3.0))
def a_numpy_array_as_target(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.gradient(np.ones(2, "float32"), a)


@case(a=variable([1.0, -2.0, 3.0]))
def an_integer_target(t, a):
    with t.GradientTape() as tape:
        target = ops.argmax(a)
    return tape.gradient(target, a)


@case(a=variable([1.0, -2.0, 3.0]))
def a_boolean_target(t, a):
    with t.GradientTape() as tape:
        target = a > 0.0
    return tape.gradient(target, a)


@case(a=variable([1.0, -2.0, 3.0]))
def an_integer_and_a_float_target(t, a):
    with t.GradientTape() as tape:
        place, loss = ops.argmax(a), a * a
    return tape.gradient([place, loss], a)


NO_SLOPE = Difference("integers have no slope, not even against themselves")


@case(
    warns=INTEGERS,
    x=tensor([1, 2], "int32"),
    differs={"jax": NO_SLOPE, "torch": NO_SLOPE},
)
def a_watched_integer_as_target_and_source(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
    return tape.gradient(x, x)


@case(a=variable(3.0))
def a_target_with_no_elements(t, a):
    with t.GradientTape() as tape:
        target = a * ops.zeros((0, 2))
    return tape.gradient(target, a)


@case(a=variable(3.0), b=variable(2.0))
def the_smaller_of_two_targets_is_independent(t, a, b):
    with t.GradientTape() as tape:
        one, two = a * a, b * b
    return tape.gradient([one, two], [a, b])
