"""One gradient per tape, or as many as one likes."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops


@case(a=variable(3.0))
def a_tape_gives_one_gradient(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    tape.gradient(loss, a)
    return tape.gradient(loss, a)


@case(a=variable(3.0), b=variable(5.0), always_compiled=True)
def a_persistent_tape_gives_many(t, a, b):
    with t.GradientTape(persistent=True) as tape:
        loss = a * b
        twice = loss * loss
    return [
        tape.gradient(loss, a),
        tape.gradient(loss, a),
        tape.gradient(twice, [b, loss]),
    ]


@case(a=variable(3.0))
def inside_the_block(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_gradient_inside_the_block_ends_the_recording(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        tape.gradient(loss, a)
        loss = a * loss
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def inside_the_block_of_a_persistent_tape(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a * a
        first = tape.gradient(loss, a)
        second = tape.gradient(first, a)
    return [first, second]


@case(a=variable(3.0))
def a_gradient_of_a_gradient_on_one_persistent_tape(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a * a
        first = tape.gradient(loss, a)
    return [first, tape.gradient(first, a), tape.gradient(loss, a)]


@case(a=variable(3.0))
def a_gradient_taken_outside_is_not_on_the_tape(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a * a
    first = tape.gradient(loss, a)
    return [first, tape.gradient(first, a)]


@case(a=variable(3.0))
def a_persistent_tape_is_entered_again(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a
    before = tape.gradient(loss, a)
    with tape:
        loss = loss * a
    return [before, tape.gradient(loss, a)]


@case(a=variable(3.0))
def a_tape_is_entered_again_before_it_is_used(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    with tape:
        loss = loss * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def operations_between_two_entries_are_constants(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    between = loss * 2.0
    with tape:
        loss = loss * a + between * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_tensor_made_between_two_entries_as_source(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    between = loss * 2.0
    with tape:
        loss = between * a
    return tape.gradient(loss, [a, between])


@case(a=variable(3.0))
def a_used_tape_is_entered_again(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    first = tape.gradient(loss, a)
    with tape:
        other = a * a * a
    return [first, tape.gradient(other, a)]


@case(a=variable(3.0))
def a_used_tape_that_is_entered_again_has_forgotten(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    tape.gradient(loss, a)
    with tape:
        other = loss * a
    return tape.gradient(other, a)


@case(a=variable(3.0))
def a_tape_that_was_never_entered(t, a):
    tape = t.GradientTape()
    return tape.gradient(a * a, a)


@case(a=variable(3.0))
def a_persistent_tape_that_was_never_entered(t, a):
    tape = t.GradientTape(persistent=True)
    return tape.gradient(a * a, a)


@case(a=variable(3.0))
def an_active_tape_is_entered_again(t, a):
    with t.GradientTape() as tape, tape:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_failed_second_entry_leaves_the_tape_usable(t, a):
    with t.GradientTape() as tape:
        try:
            tape.__enter__()
        except ValueError:
            outcome = "refused"
        loss = a * a
    return [outcome, tape.gradient(loss, a)]


@case(a=variable(3.0))
def a_failed_gradient_leaves_the_tape_usable(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    try:
        tape.gradient(None, a)
    except TypeError:
        outcome = "refused"
    return [outcome, tape.gradient(loss, a)]


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def values_of_the_block_can_be_used_after_it(t, a, x):
    with t.GradientTape() as tape:
        loss = a * a * x
    after = ops.sum(loss * 2.0) + 1.0
    return [after, loss, tape.gradient(loss, a), loss + 1.0]


@case(a=variable(3.0))
def many_gradients_of_a_persistent_tape_in_a_loop(t, a):
    with t.GradientTape(persistent=True) as tape:
        powers = [a]
        for _ in range(4):
            powers.append(powers[-1] * a)
    return [tape.gradient(power, a) for power in powers[1:]]


@case(a=variable(3.0))
def a_deleted_persistent_tape(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a
    found = tape.gradient(loss, a)
    del tape
    with t.GradientTape() as tape:
        loss = loss * a
    return [found, tape.gradient(loss, a)]
