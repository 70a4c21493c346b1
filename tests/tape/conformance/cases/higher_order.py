"""Tapes within tapes: second and third derivatives, and what each tape sees."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops


@case(a=variable(3.0), always_compiled=True)
def second_order(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a * a
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable(3.0), always_compiled=True)
def third_order(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as middle:
            with t.GradientTape() as inner:
                loss = a * a * a * a
            first = inner.gradient(loss, a)
        second = middle.gradient(first, a)
    return [first, second, outer.gradient(second, a)]


@case(a=variable(3.0))
def third_order_with_the_gradients_inside_the_blocks(t, a):
    with t.GradientTape() as outer, t.GradientTape() as middle:
        with t.GradientTape() as inner:
            loss = ops.sin(a)
            first = inner.gradient(loss, a)
        second = middle.gradient(first, a)
    return [first, second, outer.gradient(second, a)]


@case(a=variable(0.5))
def fourth_order(t, a):
    tapes = [t.GradientTape() for _ in range(4)]
    for tape in tapes:
        tape.__enter__()
    value = ops.exp(a * 2.0)
    found = []
    for tape in reversed(tapes):
        tape.__exit__(None, None, None)
        value = tape.gradient(value, a)
        found.append(value)
    return found


@case(a=variable(3.0), b=variable(2.0))
def mixed_derivatives(t, a, b):
    with t.GradientTape(persistent=True) as outer:
        with t.GradientTape() as inner:
            loss = a * a * b * b * b
        by_a, by_b = inner.gradient(loss, [a, b])
    return [
        outer.gradient(by_a, b),
        outer.gradient(by_b, a),
        outer.gradient(by_b, b),
        outer.gradient(by_a, a),
    ]


@case(x=tensor([1.0, 2.0]))
def second_order_for_a_watched_tensor(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = x * x * x
        first = inner.gradient(loss, x)
    return [first, outer.gradient(first, x)]


@case(x=tensor([1.0, 2.0]))
def watching_in_the_inner_tape_only(t, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = x * x * x
        first = inner.gradient(loss, x)
    return [first, outer.gradient(first, x)]


@case(x=tensor([1.0, 2.0]))
def watching_in_the_outer_tape_only(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            loss = x * x * x
        first = inner.gradient(loss, x)
    return [first, outer.gradient(loss, x)]


@case(a=variable(3.0), b=variable(2.0))
def an_inner_tape_for_a_part_of_the_block(t, a, b):
    with t.GradientTape() as outer:
        left = a * b
        with t.GradientTape() as inner:
            right = a * a
        loss = left + right
    return [inner.gradient(right, a), outer.gradient(loss, [a, b])]


@case(a=variable(3.0), b=variable(2.0))
def a_product_of_loss_and_gradient(t, a, b):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a * b
        found = inner.gradient(loss, a)
        total = loss * found
    return outer.gradient(total, [a, b])


@case(a=variable(3.0))
def the_inner_gradient_taken_after_both_blocks(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        loss = a * a * a
    first = inner.gradient(loss, a)
    return [first, outer.gradient(loss, a)]


@case(a=variable(3.0))
def an_inner_gradient_taken_after_the_outer_block_is_a_constant(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        loss = a * a * a
    first = inner.gradient(loss, a)
    return outer.gradient(first, a)


@case(a=variable(3.0))
def the_outer_gradient_taken_first(t, a):
    with t.GradientTape() as outer, t.GradientTape() as inner:
        loss = a * a * a
    return [outer.gradient(loss, a), inner.gradient(loss, a)]


@case(a=variable(3.0))
def two_tapes_that_cross(t, a):
    one, two = t.GradientTape(), t.GradientTape()
    one.__enter__()
    first = a * a
    two.__enter__()
    second = first * a
    one.__exit__(None, None, None)
    third = second * a
    two.__exit__(None, None, None)
    return [one.gradient(second, a), two.gradient(third, [a, first])]


@case(a=variable([1.0, 2.0]), x=tensor([0.5, -2.0]))
def a_hessian_vector_product(t, a, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.sum(a * a * a) * a[0]
        first = inner.gradient(loss, a)
        product = ops.sum(first * x)
    return outer.gradient(product, a)


@case(x=tensor([[1.0, 2.0], [3.0, 4.0]]), w=variable([[0.5], [-1.0]]))
def a_gradient_penalty(t, x, w):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            inner.watch(x)
            score = ops.tanh(ops.matmul(x, w))
        found = inner.gradient(score, x)
        norm = ops.sqrt(ops.sum(ops.square(found), axis=1))
        penalty = ops.mean(ops.square(norm - 1.0))
    return [penalty, outer.gradient(penalty, w)]


@case(a=variable(3.0), b=variable(0.05), x=tensor([1.0, 2.0]), always_compiled=True)
def through_a_step_of_descent(t, a, b, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.sum(ops.square(a * x))
        moved = a - b * inner.gradient(loss, a)
        after = ops.sum(ops.square(moved * x - 1.0))
    return outer.gradient(after, [a, b])


@case(a=variable(3.0))
def the_first_derivative_is_constant(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * 2.0
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable(3.0), b=variable(2.0))
def the_second_derivative_is_unconnected(t, a, b):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a * b
        first = inner.gradient(loss, b)
    return [first, outer.gradient(first, [a, b])]


@case(a=variable(3.0))
def stopping_the_inner_gradient(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a * a
        first = ops.stop_gradient(inner.gradient(loss, a))
        total = first * a
    return outer.gradient(total, a)


@case(a=variable(3.0), b=variable(2.0))
def a_persistent_inner_tape(t, a, b):
    with t.GradientTape() as outer:
        with t.GradientTape(persistent=True) as inner:
            one, two = a * a * b, b * b * a
        total = inner.gradient(one, a) * inner.gradient(two, b)
    return [total, outer.gradient(total, [a, b])]


@case(a=variable([0.5, -1.0, 2.0]))
def second_order_of_activations(t, a):
    found = []
    for function in (ops.tanh, ops.softplus, ops.silu):
        with t.GradientTape() as outer:
            with t.GradientTape() as inner:
                loss = function(a)
            first = inner.gradient(loss, a)
        found.append([first, outer.gradient(first, a)])
    return found


@case(a=variable([0.5, -1.0, 2.0]))
def second_order_of_relu_is_zero(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.relu(a) * a
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable([[2.0, 1.0], [1.0, 3.0]]))
def second_order_of_a_determinant(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.det(a)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable([[0.2, -0.4, 0.9]]), y=tensor([1], "int32"))
def second_order_of_a_cross_entropy(t, a, y):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = keras.losses.sparse_categorical_crossentropy(y, a, from_logits=True)
        first = inner.gradient(loss, a)
        size = ops.sum(ops.square(first))
    return [first, outer.gradient(size, a)]
