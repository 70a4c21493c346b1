"""Which value is which: equal constants, shared memory, assignments, identity."""

import keras

from conformance.case import Difference, case, tensor, variable

ops = keras.ops

IN_PLACE = {"torch": "changed in place"}
"""PyTorch's variables are changed in place, and the old value is gone."""


@case()
def equal_constants_are_two(t):
    one, two = ops.convert_to_tensor(3.0), ops.convert_to_tensor(3.0)
    with t.GradientTape() as tape:
        tape.watch(one)
        loss = one * two
    return tape.gradient(loss, [one, two])


@case()
def equal_constants_are_two_if_both_are_watched(t):
    one, two = ops.convert_to_tensor(3.0), ops.convert_to_tensor(3.0)
    with t.GradientTape() as tape:
        tape.watch([one, two])
        loss = one * one * two
    return tape.gradient(loss, [one, two])


@case(a=variable(3.0))
def a_constant_equal_to_a_variable(t, a):
    three = ops.convert_to_tensor(3.0)
    with t.GradientTape() as tape:
        loss = a * three
    return tape.gradient(loss, [a, three])


@case(a=variable(3.0), b=variable(0.0), always_compiled=True)
def two_variables_that_share_a_value(t, a, b):
    b.assign(a)
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable(0.0))
def two_variables_that_share_a_value_one_of_them_watched(t, a, b):
    b.assign(a)
    with t.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(a)
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable(0.0, trainable=False))
def a_frozen_variable_that_shares_a_value(t, a, b):
    b.assign(a)
    with t.GradientTape() as tape:
        loss = a * b
    return tape.gradient(loss, [a, b])


@case(
    x=tensor(3.0),
    a=variable(0.0),
    b=variable(0.0),
    differs={
        "jax": Difference(
            "JAX stores the assigned array itself: x is what `a.value` is, and stands "
            "for the variable",
            gives=[tensor(18.0), tensor(9.0), tensor(18.0)],
        )
    },
)
def two_variables_assigned_from_one_tensor(t, x, a, b):
    a.assign(x)
    b.assign(x)
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, [a, b, x])


@case(x=tensor(3.0), a=variable(0.0))
def a_watched_tensor_that_a_variable_was_assigned_from(t, x, a):
    a.assign(x)
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = a * x * x
    return tape.gradient(loss, [a, x])


@case(a=variable(3.0))
def stop_gradient_times_itself(t, a):
    with t.GradientTape() as tape:
        loss = ops.stop_gradient(a) * a
    return tape.gradient(loss, a)


@case(x=tensor([1.0, 2.0]), always_compiled=True)
def operations_that_change_nothing(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        same = [
            ops.reshape(x, (2,)),
            ops.cast(x, "float32"),
            ops.convert_to_tensor(x),
            ops.squeeze(x, axis=()),
            ops.copy(x),
            ops.broadcast_to(x, (2,)),
            ops.concatenate([x]),
            x[:],
        ]
        loss = sum(part * part for part in same)
    return tape.gradient(loss, x)


SAME_OBJECT = Difference(
    "on JAX, Keras hands back the input itself where there is nothing to do: both "
    "names mean one array, and the slope is that of the array",
    gives=[tensor([2.0, 4.0]), tensor([2.0, 4.0])],
)


@case(x=tensor([1.0, 2.0]), differs={"jax": SAME_OBJECT})
def an_operation_that_changes_nothing_as_source(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        same = ops.reshape(x, (2,))
        loss = same * x
    return tape.gradient(loss, [same, x])


@case(x=tensor([1.0, 2.0]))
def an_operation_that_changes_nothing_as_target(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        same = ops.reshape(x, (2,))
    return tape.gradient(same, x)


@case(a=variable([1.0, 2.0]), differs={"jax": SAME_OBJECT})
def an_operation_that_changes_nothing_on_a_variable(t, a):
    with t.GradientTape() as tape:
        same = ops.reshape(a, (2,))
        loss = same * a
    return tape.gradient(loss, [same, a])


@case(x=tensor([1.0, 2.0]))
def a_stopped_value_next_to_itself(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        square = x * x
        loss = ops.stop_gradient(square) * square
    return tape.gradient(loss, [x, square])


@case(a=variable(3.0), b=variable(2.0), always_compiled=True)
def an_assignment_before_the_reading(t, a, b):
    with t.GradientTape() as tape:
        a.assign(5.0)
        loss = a * a * b
    return [loss, tape.gradient(loss, [a, b])]


@case(refused_on=IN_PLACE, a=variable(3.0), b=variable(2.0))
def an_assignment_after_the_reading(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
        a.assign(5.0)
    return [loss, tape.gradient(loss, [a, b])]


@case(refused_on=IN_PLACE, a=variable(3.0), b=variable(2.0))
def an_assignment_between_two_readings(t, a, b):
    with t.GradientTape() as tape:
        early = a * b
        a.assign(5.0)
        loss = early + a * a
    return [loss, tape.gradient(loss, [a, b])]


@case(refused_on=IN_PLACE, a=variable(3.0))
def assign_add_between_two_readings(t, a):
    with t.GradientTape() as tape:
        early = a * a
        a.assign_add(1.0)
        loss = early * a
    return [loss, tape.gradient(loss, a)]


@case(refused_on=IN_PLACE, a=variable([3.0, 4.0]))
def assign_sub_of_a_value_of_the_block(t, a):
    with t.GradientTape() as tape:
        early = a * a
        a.assign_sub(early * 0.1)
        loss = early * a
    return [loss, tape.gradient(loss, a)]


@case(a=variable(3.0), b=variable(2.0))
def no_gradient_passes_an_assignment(t, a, b):
    with t.GradientTape() as tape:
        b.assign(a * 2.0)
        loss = b * b
    return [loss, tape.gradient(loss, [a, b])]


@case(a=variable(3.0), b=variable(2.0, trainable=False))
def no_gradient_passes_an_assignment_to_a_frozen_variable(t, a, b):
    with t.GradientTape() as tape:
        b.assign(a * 2.0)
        loss = b * a
    return [loss, tape.gradient(loss, [a, b])]


@case(a=variable(3.0), b=variable(2.0))
def the_assigned_value_goes_its_own_way(t, a, b):
    with t.GradientTape() as tape:
        value = a * 2.0
        b.assign(value)
        loss = b * value
    return [loss, tape.gradient(loss, [a, b, value])]


@case(a=variable(3.0), b=variable(2.0))
def one_variable_is_assigned_to_another_in_the_block(t, a, b):
    with t.GradientTape() as tape:
        b.assign(a)
        loss = a * a * b
    return [loss, tape.gradient(loss, [a, b])]


@case(refused_on=IN_PLACE, a=variable(3.0))
def a_variable_is_assigned_to_itself(t, a):
    with t.GradientTape() as tape:
        early = a * a
        a.assign(a)
        loss = early * a
    return [loss, tape.gradient(loss, a)]


@case(refused_on=IN_PLACE, a=variable(3.0))
def a_variable_assigned_after_the_block(t, a):
    with t.GradientTape() as tape:
        loss = a * a * a
    a.assign(100.0)
    return [tape.gradient(loss, a), a + 0.0]


@case(refused_on=IN_PLACE, a=variable(3.0))
def a_variable_assigned_between_two_gradients(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a * a
    first = tape.gradient(loss, a)
    a.assign(100.0)
    return [first, tape.gradient(loss, a)]


@case(a=variable(3.0))
def descent_over_three_blocks(t, a):
    found = []
    for _ in range(3):
        with t.GradientTape() as tape:
            loss = a * a
        a.assign_sub(0.1 * tape.gradient(loss, a))
        found.append(loss)
    return [found, a + 0.0]


@case(x=tensor([1.0, 2.0]))
def python_assignment_makes_a_new_value(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        y = x
        y = y * 2.0
        y += x
    return tape.gradient(y, x)


@case(a=variable(3.0))
def many_readings_are_one_variable(t, a):
    with t.GradientTape() as tape:
        values = [a * 1.0 for _ in range(5)]
        loss = sum(values)
    return tape.gradient(loss, a)


@case(x=tensor([2.0, 3.0]))
def both_arguments_are_one_tensor(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = [ops.multiply(x, x), ops.power(x, x), ops.divide(x, x), ops.add(x, x)]
    return tape.gradient(loss, x)


@case()
def values_that_were_freed_leave_no_trace(t):
    found = []
    for number in range(20):
        x = ops.convert_to_tensor(float(number))
        with t.GradientTape() as tape:
            tape.watch(x)
            loss = x * x
        y = ops.convert_to_tensor(float(number))
        found.append(tape.gradient(loss, [x, y]))
        del x, y
    return found


@case(a=variable(3.0))
def temporaries_of_the_block_are_kept_apart(t, a):
    with t.GradientTape() as tape:
        loss = ops.zeros(())
        for number in range(30):
            loss = loss + (a + float(number)) * 1.0
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def zero_and_one_as_factors(t, a):
    with t.GradientTape() as tape:
        loss = a * 1.0 + a * 0.0 + 0.0 + a / 1.0
    return tape.gradient(loss, a)
