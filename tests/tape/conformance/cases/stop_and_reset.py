"""`stop_recording` and `reset`: what is left out, and what is forgotten."""

import keras

from conformance.case import Difference, case, tensor, variable

ops = keras.ops

TOO_LATE = Difference(
    "TensorFlow ignores `watch` while the tape does not record",
    error="TapeError",
    match="not recording",
)


@case(a=variable(3.0), always_compiled=True)
def what_happens_meanwhile_is_a_constant(t, a):
    with t.GradientTape() as tape:
        with tape.stop_recording():
            part = a * a
        loss = part * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def all_of_it_happens_meanwhile(t, a):
    with t.GradientTape() as tape, tape.stop_recording():
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def before_and_after_are_recorded(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        with tape.stop_recording():
            half = loss * 0.5
        loss = loss * a + half * a
    return tape.gradient(loss, [a, half])


@case(a=variable(3.0))
def stopped_twice_in_a_row(t, a):
    with t.GradientTape() as tape:
        loss = a * 1.0
        for _ in range(2):
            with tape.stop_recording():
                factor = loss * 2.0
            loss = loss * a + factor
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def stopping_within_stopping(t, a):
    with t.GradientTape() as tape:
        with tape.stop_recording(), tape.stop_recording():
            part = a * a
        loss = part * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def stopping_a_tape_that_was_never_entered(t, a):
    tape = t.GradientTape()
    with tape.stop_recording():
        return a * a


@case(a=variable(3.0))
def stopping_after_the_block(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    with tape.stop_recording():
        other = a * 2.0
    return [other, tape.gradient(loss, a)]


@case(a=variable(3.0))
def a_gradient_while_stopped(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        with tape.stop_recording():
            found = tape.gradient(loss, a)
    return found


@case(a=variable(3.0))
def a_gradient_of_a_persistent_tape_while_stopped(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a * a
        with tape.stop_recording():
            first = tape.gradient(loss, a)
        other = first * a
    return [first, tape.gradient(other, a), tape.gradient(first, a)]


@case(a=variable(3.0))
def an_exception_while_stopped(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        try:
            with tape.stop_recording():
                raise KeyError("mine")
        except KeyError:
            loss = loss * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def an_outer_tape_goes_on(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        with inner.stop_recording():
            part = a * a
        loss = part * a
    return [inner.gradient(loss, a), outer.gradient(loss, a)]


@case(a=variable(3.0))
def an_inner_tape_goes_on(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        with outer.stop_recording():
            part = a * a
        loss = part * a
    return [inner.gradient(loss, a), outer.gradient(loss, a)]


@case(a=variable(3.0))
def a_tape_inside_the_pause_of_another(t, a):
    with t.GradientTape() as outer:
        with outer.stop_recording():
            with t.GradientTape() as inner:
                loss = a * a
            found = inner.gradient(loss, a)
        total = found * a
    return [found, outer.gradient(total, a)]


@case(differs=TOO_LATE, x=tensor([1.0, 2.0]))
def watching_while_stopped(t, x):
    with t.GradientTape() as tape:
        with tape.stop_recording():
            tape.watch(x)
            early = x * x
        loss = x * 3.0 + early
    return tape.gradient(loss, x)


@case(a=variable(3.0))
def entering_while_stopped(t, a):
    with t.GradientTape() as tape, tape.stop_recording(), tape:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0), always_compiled=True)
def a_reset_forgets_what_was_recorded(t, a):
    with t.GradientTape() as tape:
        part = a * a
        tape.reset()
        loss = part * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def everything_before_a_reset(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        tape.reset()
    return tape.gradient(loss, a)


@case(x=tensor([1.0, 2.0]))
def a_reset_forgets_what_was_watched(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        tape.reset()
        loss = x * x
    return tape.gradient(loss, x)


@case(x=tensor([1.0, 2.0]))
def watching_again_after_a_reset(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        part = x * x
        tape.reset()
        tape.watch(x)
        loss = x * part
    return tape.gradient(loss, x)


@case(a=variable(3.0))
def a_reset_outside_of_the_block(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    tape.reset()
    return tape.gradient(loss, a)


@case()
def a_reset_of_a_tape_that_was_never_entered(t):
    tape = t.GradientTape()
    tape.reset()
    return "nothing happened"


@case(a=variable(3.0))
def a_reset_after_a_gradient_inside(t, a):
    with t.GradientTape(persistent=True) as tape:
        loss = a * a
        first = tape.gradient(loss, a)
        tape.reset()
        other = first * a
    return [first, tape.gradient(other, a)]


@case(a=variable(3.0))
def a_reset_after_the_gradient_of_a_tape_for_one(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        first = tape.gradient(loss, a)
        tape.reset()
        other = first * a
    return [first, tape.gradient(other, a)]


@case(a=variable(3.0))
def a_reset_while_stopped(t, a):
    with t.GradientTape() as tape:
        loss = a * a
        with tape.stop_recording():
            tape.reset()
        loss = loss * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_reset_of_the_inner_tape(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        part = a * a
        inner.reset()
        loss = part * a
    return [inner.gradient(loss, a), outer.gradient(loss, a)]


@case(a=variable(3.0))
def a_reset_of_the_outer_tape(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        part = a * a
        outer.reset()
        loss = part * a
    return [inner.gradient(loss, a), outer.gradient(loss, a)]
