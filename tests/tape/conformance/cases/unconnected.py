"""What stands for a source that the target does not depend on."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops

INTEGERS = ".*has no gradients"
"""What is said of a tensor that is watched in vain."""


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def none_by_default(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def none_by_name(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [a, b], unconnected_gradients="none")


@case(a=variable(3.0), b=variable([1.0, 2.0]), always_compiled=True)
def zeros(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [a, b], unconnected_gradients="zero")


@case(a=variable(3.0), b=variable([[1.0, 2.0]]))
def zeros_for_a_variable_that_was_read(t, a, b):
    with t.GradientTape() as tape:
        b * b
        loss = a * a
    return tape.gradient(loss, {"b": b}, unconnected_gradients="zero")


@case(x=tensor([[1.0, 2.0]]), a=variable(3.0))
def zeros_for_an_unwatched_tensor(t, x, a):
    with t.GradientTape() as tape:
        loss = a * x
    return tape.gradient(loss, [x], unconnected_gradients="zero")


@case(x=tensor([[1.0, 2.0]]), a=variable(3.0))
def zeros_for_a_watched_tensor(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = a * a
    return tape.gradient(loss, x, unconnected_gradients="zero")


@case(a=variable([3.0, 2.0], "float16"), b=variable(1.0))
def zeros_have_the_dtype_of_the_source(t, a, b):
    with t.GradientTape() as tape:
        loss = b * b
    return tape.gradient(loss, a, unconnected_gradients="zero")


@case(warns=INTEGERS, x=tensor([1, 2], "int32"), a=variable(3.0))
def zeros_for_integers(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = a * a
    return tape.gradient(loss, x, unconnected_gradients="zero")


@case(a=variable(3.0, trainable=False), b=variable(1.0))
def zeros_for_a_frozen_variable(t, a, b):
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient(loss, [a, b], unconnected_gradients="zero")


@case(a=variable(3.0), b=variable(1.0))
def zeros_without_watching(t, a, b):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        loss = a * b
    return tape.gradient(loss, [a, b], unconnected_gradients="zero")


@case(a=variable([3.0, 1.0]))
def zeros_for_an_integer_target(t, a):
    with t.GradientTape() as tape:
        target = ops.argmax(a)
    return tape.gradient(target, a, unconnected_gradients="zero")


@case(a=variable([3.0, 1.0]))
def zeros_behind_stop_gradient(t, a):
    with t.GradientTape() as tape:
        target = ops.stop_gradient(a * a)
    return tape.gradient(target, a, unconnected_gradients="zero")


@case(a=variable([3.0, 1.0]))
def none_behind_stop_gradient(t, a):
    with t.GradientTape() as tape:
        target = ops.stop_gradient(a * a)
    return tape.gradient(target, a)


@case(a=variable([3.0, 1.0]))
def a_product_with_zero_is_connected(t, a):
    with t.GradientTape() as tape:
        target = a * 0.0
    return tape.gradient(target, a)


@case(a=variable([3.0, 1.0]), b=variable(1.0))
def a_part_that_is_zero_is_connected(t, a, b):
    with t.GradientTape() as tape:
        target = ops.where(ops.convert_to_tensor([True, True]), a * 1.0, b * 1.0)
    return tape.gradient(target, [a, b])


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def the_zeros_of_second_order(t, a, b):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a
        found = inner.gradient(loss, [a, b], unconnected_gradients="zero")
        total = ops.sum(found[1]) + found[0]
    return outer.gradient(total, [a, b], unconnected_gradients="zero")


@case(a=variable(3.0))
def an_unknown_word(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a, unconnected_gradients="nothing")


@case(a=variable(3.0))
def a_word_that_is_none(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a, unconnected_gradients=None)


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def zeros_where_nothing_was_recorded(t, a, b):
    with t.GradientTape() as tape:
        pass
    return tape.gradient(a * 2.0, [a, b], unconnected_gradients="zero")


@case(a=variable([1.2, -2.3, 3.4]))
def sign_has_no_slope(t, a):
    with t.GradientTape() as tape:
        loss = ops.sign(a)
    return tape.gradient(loss, a)


@case(a=variable([1.2, -2.3, 3.4]))
def round_has_no_slope(t, a):
    with t.GradientTape() as tape:
        loss = ops.round(a)
    return tape.gradient(loss, a)


@case(a=variable([1.2, -2.3, 3.4]))
def floor_has_no_slope(t, a):
    with t.GradientTape() as tape:
        loss = ops.floor(a)
    return tape.gradient(loss, a)


@case(a=variable([1.2, -2.3, 3.4]))
def ceil_has_no_slope(t, a):
    with t.GradientTape() as tape:
        loss = ops.ceil(a)
    return tape.gradient(loss, a)


@case(a=variable([1.0, -2.0, 3.0]))
def shapes_and_zeros_like_are_constants(t, a):
    found = []
    for function in (ops.zeros_like, ops.ones_like):
        with t.GradientTape() as tape:
            loss = function(a * 1.0)
        found.append(tape.gradient(loss, a))
    return found


@case(a=variable([1.0, -2.0, 3.0]))
def there_and_back_through_integers(t, a):
    with t.GradientTape() as tape:
        loss = ops.cast(ops.cast(a, "int32"), "float32") * 2.0
    return tape.gradient(loss, a)
