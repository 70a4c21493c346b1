"""Exceptions pass through, and leave tapes usable."""

import contextlib

import keras

from conformance.case import case, tensor, variable

ops = keras.ops


@case(a=variable(3.0))
def an_exception_passes_through(t, a):
    with t.GradientTape():
        raise KeyError("mine")


@case(a=variable(3.0))
def a_class_of_the_users_own_passes_through(t, a):
    class MineError(ZeroDivisionError):
        pass

    with t.GradientTape():
        raise MineError("mine")


@case(a=variable(3.0))
def the_same_object_comes_out(t, a):
    mine = ValueError("mine")
    try:
        with t.GradientTape():
            a * a
            raise mine
    except ValueError as error:
        return error is mine


@case(a=variable(3.0))
def stop_iteration_passes_through(t, a):
    try:
        with t.GradientTape():
            raise StopIteration("mine")
    except StopIteration as error:
        return str(error)


@case(a=variable(3.0))
def the_next_tape_works(t, a):
    try:
        with t.GradientTape():
            a * a
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0), always_compiled=True)
def what_was_recorded_before_counts(t, a):
    loss = None
    try:
        with t.GradientTape() as tape:
            loss = a * a
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def nothing_is_recorded_afterwards(t, a):
    try:
        with t.GradientTape() as tape:
            raise ZeroDivisionError
    except ZeroDivisionError:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def in_the_inner_of_two_blocks(t, a):
    with t.GradientTape() as outer:
        loss = a * 1.0
        try:
            with t.GradientTape():
                loss = loss * a
                raise ZeroDivisionError
        except ZeroDivisionError:
            loss = loss * a
    return outer.gradient(loss, a)


@case(a=variable(3.0))
def through_two_blocks(t, a):
    try:
        with t.GradientTape() as outer, t.GradientTape() as inner:
            loss = a * a
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    return [outer.gradient(loss, a), inner.gradient(loss, a)]


@case(
    eager_only={"torch": "the operation that failed stays in the traced graph"},
    a=variable(3.0),
    x=tensor([1.0, 2.0]),
)
def of_an_operation(t, a, x):
    try:
        with t.GradientTape() as tape:
            loss = a * a
            ops.reshape(x, (3,))
    except Exception:
        return tape.gradient(loss, a)


@case(
    eager_only={"torch": "its tracing of both branches works by exceptions, too"},
    a=variable(3.0),
    x=tensor(1.0),
)
def in_a_branch(t, a, x):
    def failing():
        raise ZeroDivisionError("mine")

    with t.GradientTape():
        ops.cond(x > 0.0, failing, failing)


@case(a=variable(3.0), x=tensor(1.0))
def in_a_branch_and_then_another_tape(t, a, x):
    def failing():
        raise ZeroDivisionError("mine")

    try:
        with t.GradientTape():
            ops.cond(x > 0.0, failing, failing)
    except ZeroDivisionError:
        pass
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def in_the_body_of_a_scan(t, a, x):
    def body(carry, item):
        raise ZeroDivisionError("mine")

    with t.GradientTape():
        ops.scan(body, a * 1.0, x)


@case(a=variable(3.0))
def in_a_function_that_value_and_grad_calls(t, a):
    def failing():
        raise ZeroDivisionError("mine")

    t.value_and_grad(failing, a)()


@case(a=variable(3.0))
def after_value_and_grad_failed(t, a):
    def failing():
        raise ZeroDivisionError("mine")

    with contextlib.suppress(ZeroDivisionError):
        t.value_and_grad(failing, a)()
    return t.value_and_grad(lambda: a * a, a)()


@case(a=variable(3.0), b=variable(1.0))
def assignments_before_an_exception_stay(t, a, b):
    try:
        with t.GradientTape():
            b.assign(7.0)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with t.GradientTape() as tape:
        loss = a * b
    return [loss, tape.gradient(loss, a)]


@case(a=variable(3.0))
def a_generator_that_is_left_inside_the_block(t, a):
    def steps():
        with t.GradientTape() as tape:
            yield a * a
            yield tape

    run = steps()
    loss = next(run)
    run.close()
    with t.GradientTape() as tape:
        loss = loss * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_return_out_of_the_block(t, a):
    def step():
        with t.GradientTape() as tape:
            return tape, a * a

    tape, loss = step()
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def a_break_out_of_the_block(t, a):
    for _ in range(3):
        with t.GradientTape() as tape:
            loss = a * a
            break
    after = a * a * a
    return [tape.gradient([loss, after], a)]


@case(a=variable(3.0))
def an_unknown_argument(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a, weights=1.0)


@case(a=variable(3.0))
def an_unknown_argument_of_the_tape(t, a):
    return t.GradientTape(watch=True)


@case(a=variable(3.0))
def arguments_by_position(t, a):
    with t.GradientTape(True, False) as tape:
        tape.watch(a)
        loss = a * a
    weight = ops.convert_to_tensor(2.0)
    return [tape.gradient(loss, a, weight), tape.gradient(loss, a, None, "zero")]
