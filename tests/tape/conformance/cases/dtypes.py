"""Half, double and complex numbers, integers and booleans, and casts between them."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops

INTEGERS = ".*has no gradients"
"""What is said of a tensor that is watched in vain."""


@case(a=variable([1.0, 2.0], "float16"))
def float16(t, a):
    with t.GradientTape() as tape:
        loss = a * a * a
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0], "bfloat16"))
def bfloat16(t, a):
    with t.GradientTape() as tape:
        loss = a * a * a
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0], "float64"), wide=True)
def float64(t, a):
    with t.GradientTape() as tape:
        loss = a * a * a
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0], "float64"), x=tensor([3.0, 4.0], "float64"), wide=True)
def float64_of_second_order(t, a, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = a * a * x * x
        first = inner.gradient(loss, x)
    return [first, outer.gradient(first, a)]


@case(a=variable([1.0, 2.0], "float64"), b=variable([1.0, 2.0]), wide=True)
def a_cast_from_float32_to_float64(t, a, b):
    with t.GradientTape() as tape:
        loss = a * ops.cast(b, "float64")
    return tape.gradient(loss, [a, b])


@case(a=variable([1.0, 2.0]), always_compiled=True)
def a_cast_to_float16(t, a):
    with t.GradientTape() as tape:
        loss = ops.cast(a, "float16") * 3.0
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0], "bfloat16"), b=variable([3.0, 4.0]))
def a_cast_from_bfloat16(t, a, b):
    with t.GradientTape() as tape:
        loss = ops.cast(a, "float32") * b
    return tape.gradient(loss, [a, b])


@case(a=variable([1.0, 2.0], "float16"), b=variable([3.0, 4.0]))
def keras_promotes_half_and_single(t, a, b):
    with t.GradientTape() as tape:
        loss = ops.multiply(a, b)
    return [loss, tape.gradient(loss, [a, b])]


@case(a=variable([1.0, 2.0], "float16"))
def second_order_in_half_precision(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a * a
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable([60000.0], "float16"))
def overflow_in_half_precision(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return [loss, tape.gradient(loss, a)]


@case(warns=INTEGERS, x=tensor([1, 2], "int32"), a=variable([1.0, 2.0]))
def a_watched_integer_as_source(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.cast(x * x, "float32") * a
    return tape.gradient(loss, [x, a])


@case(x=tensor([1, 2], "int32"), a=variable([1.0, 2.0]))
def an_unwatched_integer_as_source(t, x, a):
    with t.GradientTape() as tape:
        loss = ops.cast(x, "float32") * a
    return tape.gradient(loss, [x, a])


@case(n=variable([1, 2], "int32", trainable=False), a=variable([1.0, 2.0]))
def an_integer_variable_as_source(t, n, a):
    with t.GradientTape() as tape:
        loss = ops.cast(n, "float32") * a
    return tape.gradient(loss, [n, a])


@case(n=variable([1, 2], "int32", trainable=False), a=variable([1.0, 2.0]))
def an_integer_variable_as_target(t, n, a):
    with t.GradientTape() as tape:
        n * 2
    return tape.gradient(n, a)


@case(warns=INTEGERS, x=tensor([True, False], "bool"), a=variable([1.0, 2.0]))
def a_boolean_as_source(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.where(x, a * 1.0, 2.0 * a)
    return tape.gradient(loss, [x, a])


@case(warns=INTEGERS, x=tensor([1, 2], "int32"))
def an_integer_target_of_a_watched_integer(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.gradient(target, x)


@case(warns=INTEGERS, x=tensor([1, 2], "int32"))
def an_integer_divided(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x / 2
    return tape.gradient(target, x)


@case(a=variable([1.0, 2.0]), x=tensor([3, 4], "int32"))
def a_float_times_an_integer(t, a, x):
    with t.GradientTape() as tape:
        loss = a * x
    return tape.gradient(loss, [a, x])


@case(warns=INTEGERS, a=variable([1.0, 2.0, 3.0]), x=tensor([2, 0], "int32"))
def integers_as_places(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.take(a, x) * 5.0
    return tape.gradient(loss, [a, x])


@case(a=variable([[1.0, 2.0], [-3.0, 0.5]]))
def complex_numbers_on_the_way(t, a):
    with t.GradientTape() as tape:
        number = ops.view_as_complex(a)
        loss = ops.abs(number * number)
    return tape.gradient(loss, a)


@case(a=variable([1.0, 2.0, -1.0, 0.5]), b=variable([0.0, 1.0, 0.5, 2.0]))
def a_fourier_transform(t, a, b):
    with t.GradientTape() as tape:
        real, imaginary = ops.fft((a * 1.0, b * 1.0))
        loss = ops.sum(real * real) + ops.sum(imaginary)
    return tape.gradient(loss, [a, b])


@case(x=tensor([1.0 + 2.0j, 3.0 - 1.0j], "complex64"))
def a_complex_source(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.abs(x * x)
    return tape.gradient(loss, x)


@case(x=tensor([1.0 + 2.0j, 3.0 - 1.0j], "complex64"))
def a_complex_target(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.gradient(target, x)


@case(a=variable([1.0, 2.0]), w=tensor([2.0, 4.0], "float16"))
def half_weights_for_a_half_target(t, a, w):
    with t.GradientTape() as tape:
        target = ops.cast(a * a, "float16")
    return tape.gradient(target, a, output_gradients=w)


@case(a=variable([1.0, 2.0]), b=variable([3.0, 4.0], "float16"))
def targets_of_two_dtypes(t, a, b):
    with t.GradientTape() as tape:
        one = a * a
        two = b * ops.cast(a, "float16")
    return tape.gradient([one, two], [a, b])


@case(x=tensor([2.5, -1.5]), a=variable(1.0))
def nan_and_infinity_stay(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = [ops.log(x * 0.0) * a, ops.sqrt(x) * a, 1.0 / (x - 2.5)]
    return tape.gradient(loss, [a])
