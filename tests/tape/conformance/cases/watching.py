"""What is watched: variables as they are read, tensors on request, per tape."""

import keras
import numpy as np

from conformance.case import Difference, built, case, tensor, variable

ops = keras.ops

INTEGERS = ".*has no gradients"
"""What is said of a tensor that is watched in vain."""

TOO_LATE = Difference(
    "TensorFlow ignores `watch` while the tape does not record",
    error="TapeError",
    match="not recording",
)


@case(x=tensor([1.0, 2.0]))
def a_watched_tensor(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = x * x
    return tape.gradient(loss, x)


@case(x=tensor([1.0, 2.0]))
def an_unwatched_tensor(t, x):
    with t.GradientTape() as tape:
        loss = x * x
    return tape.gradient(loss, x)


@case(a=variable(3.0), x=tensor([1.0, 2.0]), always_compiled=True)
def an_unwatched_tensor_next_to_a_variable(t, a, x):
    with t.GradientTape() as tape:
        loss = a * x
    return tape.gradient(loss, [a, x])


@case(x=tensor([1.0, 2.0]), y=tensor([3.0, 4.0]))
def an_unwatched_tensor_next_to_a_watched_one(t, x, y):
    with t.GradientTape() as tape:
        tape.watch(y)
        loss = x * y
    return tape.gradient(loss, [x, y])


@case(x=tensor([1.0, 2.0]), y=tensor([3.0, 4.0]))
def an_unwatched_tensor_in_a_matrix_product(t, x, y):
    with t.GradientTape() as tape:
        tape.watch(y)
        loss = ops.dot(x, y) + ops.sum(ops.maximum(x, y))
    return tape.gradient(loss, [x, y])


@case(x=tensor([1.0, 2.0]), y=tensor([3.0, 4.0]), z=tensor([5.0, 6.0]))
def structures_are_watched(t, x, y, z):
    with t.GradientTape() as tape:
        tape.watch({"x": x, "rest": [y, (z,)]})
        loss = x * y * z
    return tape.gradient(loss, [x, y, z])


@case(a=variable(3.0, trainable=False), b=variable(2.0))
def a_frozen_variable_is_not_watched(t, a, b):
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0, trainable=False), b=variable(2.0), always_compiled=True)
def a_frozen_variable_is_watched_on_request(t, a, b):
    with t.GradientTape() as tape:
        tape.watch(a)
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(
    a=variable(3.0),
    b=variable(2.0),
    differs=Difference(
        "Keras' flag counts at all times; tf.Variable keeps the one it was made with",
        gives=[None, tensor(3.0)],
    ),
)
def a_flag_that_is_set_later(t, a, b):
    a.trainable = False
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable(2.0))
def nothing_is_watched_unasked(t, a, b):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable(2.0))
def only_what_is_asked_for_is_watched(t, a, b):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([a])
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(
    layer=built(lambda: keras.layers.Dense(2), (1, 2)),
    other=built(lambda: keras.layers.Dense(2), (1, 2)),
    x=tensor([[1.0, 2.0]]),
)
def the_weights_of_one_layer_are_watched(t, layer, other, x):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(layer.trainable_variables)
        loss = ops.sum(ops.square(other(layer(x))))
    variables = layer.trainable_variables + other.trainable_variables
    return tape.gradient(loss, variables)


@case(x=tensor([1.0, 2.0]))
def watching_after_the_use_is_too_late(t, x):
    with t.GradientTape() as tape:
        loss = x * x
        tape.watch(x)
    return tape.gradient(loss, x)


@case(x=tensor([1.0, 2.0]))
def watching_between_two_uses(t, x):
    with t.GradientTape() as tape:
        early = x * x
        tape.watch(x)
        late = x * 3.0
        loss = early + late
    return tape.gradient(loss, x)


@case(a=variable(3.0))
def watching_a_variable_after_its_use(t, a):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        early = a * a
        tape.watch(a)
        late = a * 5.0
        loss = early + late
    return tape.gradient(loss, a)


@case(x=tensor([1.0, 2.0]))
def watching_twice_counts_once(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        tape.watch(x)
        loss = x * x
    return tape.gradient(loss, x)


@case(a=variable(3.0))
def watching_a_variable_that_is_watched_anyway(t, a):
    with t.GradientTape() as tape:
        tape.watch(a)
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0), x=tensor([1.0, 2.0]), always_compiled=True)
def an_intermediate_tensor_as_source(t, a, x):
    with t.GradientTape() as tape:
        middle = a * x
        loss = ops.sum(middle * middle)
    return tape.gradient(loss, [middle, a])


@case(x=tensor([1.0, 2.0]))
def an_unwatched_intermediate_tensor_as_source(t, x):
    with t.GradientTape() as tape:
        middle = x * 2.0
        loss = middle * middle
    return tape.gradient(loss, middle)


@case(x=tensor([1.0, 2.0]))
def a_watched_intermediate_tensor(t, x):
    with t.GradientTape() as tape:
        middle = x * 2.0
        tape.watch(middle)
        loss = middle * middle
    return tape.gradient(loss, [middle, x])


@case(a=variable(3.0))
def a_watched_intermediate_tensor_still_leads_on(t, a):
    with t.GradientTape() as tape:
        middle = a * 2.0
        tape.watch(middle)
        loss = middle * middle
    return tape.gradient(loss, [middle, a])


@case(a=variable(3.0))
def operations_before_the_block_are_constants(t, a):
    before = a * a
    with t.GradientTape() as tape:
        loss = before * a
    return tape.gradient(loss, [a, before])


@case(a=variable(3.0))
def operations_before_the_block_can_be_watched(t, a):
    before = a * a
    with t.GradientTape() as tape:
        tape.watch(before)
        loss = before * a
    return tape.gradient(loss, [a, before])


@case(a=variable(3.0))
def a_variable_that_is_read_outside_only(t, a):
    value = a + 0.0
    with t.GradientTape() as tape:
        loss = value * value
    return tape.gradient(loss, a)


@case(a=variable(3.0), b=variable(2.0))
def the_value_of_a_variable_as_source(t, a, b):
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient(loss, [a.value, b])


@case(a=variable(3.0))
def a_variable_converted_to_a_tensor(t, a):
    with t.GradientTape() as tape:
        value = ops.convert_to_tensor(a) * 1.0
        loss = value * value
    return tape.gradient(loss, [a, value])


@case(a=variable(3.0))
def a_variable_read_by_its_value(t, a):
    with t.GradientTape() as tape:
        loss = a.value * a.value
    return tape.gradient(loss, a)


@case(a=variable([1.0, 2.0, 3.0]))
def a_variable_read_by_index(t, a):
    with t.GradientTape() as tape:
        loss = a[1] * a[2]
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_variable_under_python_operators(t, a):
    with t.GradientTape() as tape:
        loss = (2.0 * a + 1.0) ** 2 / 4.0 - (-a) + abs(a) + 1.0 / a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_python_number_is_watched(t, a):
    with t.GradientTape() as tape:
        tape.watch(3.0)
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_numpy_array_is_watched(t, a):
    with t.GradientTape() as tape:
        tape.watch(np.ones(2, "float32"))
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def none_is_watched(t, a):
    with t.GradientTape() as tape:
        tape.watch(None)
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_string_is_watched(t, a):
    with t.GradientTape() as tape:
        tape.watch("a")
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def an_empty_list_is_watched(t, a):
    with t.GradientTape() as tape:
        tape.watch([])
        loss = a * a
    return tape.gradient(loss, a)


@case(warns=INTEGERS, x=tensor([1, 2], "int32"), a=variable(3.0))
def an_integer_tensor_is_watched(t, x, a):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = a * ops.cast(x, "float32")
    return tape.gradient(loss, [x, a])


@case(x=tensor([1.0, 2.0]))
def watching_before_the_block(t, x):
    tape = t.GradientTape()
    tape.watch(x)
    with tape:
        loss = x * x
    return tape.gradient(loss, x)


@case(differs=TOO_LATE, x=tensor([1.0, 2.0]))
def watching_after_the_block(t, x):
    with t.GradientTape() as tape:
        loss = x * x
    tape.watch(x)
    return tape.gradient(loss, x)


@case(differs=TOO_LATE, x=tensor([1.0, 2.0]))
def watching_after_the_block_for_the_next_entry(t, x):
    with t.GradientTape() as tape:
        early = x * x
    tape.watch(x)
    with tape:
        loss = early * x
    return tape.gradient(loss, x)


@case(x=tensor([1.0, 2.0]), a=variable(3.0))
def watching_is_a_matter_of_each_tape(t, x, a):
    with t.GradientTape() as one, t.GradientTape() as two:
        one.watch(x)
        loss = a * x
    return [one.gradient(loss, [x, a]), two.gradient(loss, [x, a])]


@case(x=tensor([1.0, 2.0]))
def a_tensor_watched_by_an_earlier_tape(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = x * x
    first = tape.gradient(loss, x)
    with t.GradientTape() as tape:
        loss = x * x
    return [first, tape.gradient(loss, x)]


@case(x=tensor([1.0, 2.0]), a=variable(3.0))
def no_automatic_watching_in_the_inner_tape(t, x, a):
    with t.GradientTape() as outer:
        with t.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            loss = a * x * x
        found = inner.gradient(loss, [a, x])
    return [found, outer.gradient(loss, [a, x])]
