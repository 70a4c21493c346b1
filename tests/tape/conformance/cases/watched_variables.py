"""`watched_variables()`: which, in which order, and until when."""

import keras

from conformance.case import Difference, built, case, tensor, variable

ops = keras.ops

NO_INTEGERS = {"torch": "Keras makes no trainable integer variable there"}


@case(a=variable(3.0), b=variable(2.0))
def the_variables_that_were_read(t, a, b):
    with t.GradientTape() as tape:
        a * b
    return t.watched(tape, a=a, b=b)


@case(
    a=variable(3.0),
    b=variable(2.0),
    differs=Difference(
        "Keras does not keep the order in which variables were made: ours is that of "
        "first use",
        gives=["b", "a"],
    ),
)
def in_order_of_construction(t, a, b):
    with t.GradientTape() as tape:
        b * a
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), b=variable(2.0))
def a_variable_that_was_not_read(t, a, b):
    with t.GradientTape() as tape:
        b * 2.0
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0))
def each_variable_once(t, a):
    with t.GradientTape() as tape:
        tape.watch(a)
        a * a + a
    return t.watched(tape, a=a)


@case(a=variable(3.0), b=variable(2.0, trainable=False))
def frozen_variables_are_left_out(t, a, b):
    with t.GradientTape() as tape:
        a * b
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), b=variable(2.0, trainable=False))
def watched_on_request(t, a, b):
    with t.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(b)
        a * b
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def tensors_are_left_out(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        a * x
    return t.watched(tape, a=a)


@case(a=variable(3.0))
def inside_the_block(t, a):
    with t.GradientTape() as tape:
        before = t.watched(tape, a=a)
        a * a
        after = t.watched(tape, a=a)
    return [before, after]


@case(a=variable(3.0), b=variable(2.0))
def after_the_gradient(t, a, b):
    with t.GradientTape() as tape:
        loss = a * b
    tape.gradient(loss, a)
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), b=variable(2.0))
def after_a_reset(t, a, b):
    with t.GradientTape() as tape:
        a * a
        tape.reset()
        b * b
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), b=variable(2.0))
def while_recording_is_stopped(t, a, b):
    with t.GradientTape() as tape:
        a * a
        with tape.stop_recording():
            b * b
    return t.watched(tape, a=a, b=b)


@case()
def of_an_empty_block(t):
    with t.GradientTape() as tape:
        pass
    return t.watched(tape)


@case()
def of_a_tape_that_was_never_entered(t):
    return t.watched(t.GradientTape())


@case(a=variable(3.0), b=variable(2.0))
def of_a_used_tape_that_was_entered_again(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a
    tape.gradient(loss, a)
    with tape:
        b * b
    return t.watched(tape, a=a, b=b)


@case(a=variable(3.0), b=variable(2.0))
def each_tape_has_its_own(t, a, b):
    with t.GradientTape() as outer:
        a * a
        with t.GradientTape() as inner:
            b * b
    return [t.watched(outer, a=a, b=b), t.watched(inner, a=a, b=b)]


@case(layer=built(lambda: keras.layers.Dense(2), (1, 2)), x=tensor([[1.0, 2.0]]))
def of_a_layer(t, layer, x):
    with t.GradientTape() as tape:
        layer(x)
    return t.watched(tape, kernel=layer.kernel, bias=layer.bias)


@case(a=variable(3.0))
def gradients_for_all_that_was_watched(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return list(tape.gradient(loss, tape.watched_variables()))


@case(
    skipped_on=NO_INTEGERS,
    a=variable([1, 2], "int32"),
    b=variable(2.0),
)
def an_integer_variable(t, a, b):
    with t.GradientTape() as tape:
        ops.cast(a, "float32") * b
    return t.watched(tape, a=a, b=b)


ASSIGNED = Difference("what is assigned and never read is not watched", gives=["b"])


@case(
    a=variable(3.0),
    b=variable(2.0),
    differs={"jax": ASSIGNED, "tensorflow": ASSIGNED},
    eager_only={"torch": "a scope takes the assignment, which reads nothing then"},
)
def an_assignment_counts_as_an_access(t, a, b):
    with t.GradientTape() as tape:
        a.assign(4.0)
        b * b
    return t.watched(tape, a=a, b=b)
