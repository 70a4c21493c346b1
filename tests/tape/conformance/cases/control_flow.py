"""Branches and loops: of Python, and of `keras.ops`."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops

NO_REVERSE = {"jax": "while_loop"}
"""JAX differentiates no loop backwards whose number of rounds is not known."""

TURNS = {"torch": "the number of turns is found while it runs, which is not traced"}

BOTH_WAYS = {"torch": "both branches are traced, and one has gradients that are None"}


@case(a=variable(3.0), x=tensor(1.0), always_compiled=True)
def cond_takes_the_first_branch(t, a, x):
    with t.GradientTape() as tape:
        loss = ops.cond(x > 0.0, lambda: a * a, lambda: a * 2.0)
    return tape.gradient(loss, a)


@case(a=variable(3.0), x=tensor(-1.0))
def cond_takes_the_second_branch(t, a, x):
    with t.GradientTape() as tape:
        loss = ops.cond(x > 0.0, lambda: a * a, lambda: a * 2.0)
    return tape.gradient(loss, a)


@case(a=variable(3.0), b=variable(2.0), x=tensor(1.0))
def cond_with_another_variable_in_each_branch(t, a, b, x):
    with t.GradientTape() as tape:
        loss = ops.cond(x > 0.0, lambda: a * a, lambda: b * b)
    return tape.gradient(loss, [a, b], unconnected_gradients="zero")


@case(a=variable(3.0))
def cond_on_a_variable(t, a):
    with t.GradientTape() as tape:
        loss = ops.cond(a > 0.0, lambda: a * a, lambda: -a)
    return tape.gradient(loss, a)


@case(a=variable(3.0), x=tensor(1.0))
def cond_over_values_of_the_block(t, a, x):
    with t.GradientTape() as tape:
        square = a * a
        loss = ops.cond(x > 0.0, lambda: square * a, lambda: square)
    return tape.gradient(loss, [a, square])


@case(a=variable(3.0), x=tensor(1.0))
def cond_that_returns_several(t, a, x):
    with t.GradientTape() as tape:
        one, two = ops.cond(
            x > 0.0, lambda: (a * a, a * 1.0), lambda: (a * 1.0, a * 2.0)
        )
        loss = one * two
    return tape.gradient(loss, a)


@case(a=variable(3.0), x=tensor(1.0))
def cond_within_cond(t, a, x):
    with t.GradientTape() as tape:
        loss = ops.cond(
            x > 0.0,
            lambda: ops.cond(x > 2.0, lambda: a * 1.0, lambda: a * a),
            lambda: -a,
        )
    return tape.gradient(loss, a)


@case(eager_only=BOTH_WAYS, a=variable(3.0), x=tensor(1.0))
def second_order_through_cond(t, a, x):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.cond(x > 0.0, lambda: a * a * a, lambda: a * 1.0)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(eager_only=BOTH_WAYS, a=variable(3.0), x=tensor([1.0, 2.0]))
def cond_on_a_watched_tensor(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.cond(ops.sum(x) > 0.0, lambda: a * x, lambda: x)
    return tape.gradient(loss, [a, x])


@case(
    eager_only={"torch": "a tensor as a Python number is not traced"},
    a=variable(3.0),
    n=tensor(1, "int32"),
)
def switch(t, a, n):
    with t.GradientTape() as tape:
        loss = ops.switch(n, [lambda v: v, lambda v: v * v, lambda v: -v], a * 1.0)
    return tape.gradient(loss, a)


@case(a=variable([3.0, -1.0]))
def where(t, a):
    with t.GradientTape() as tape:
        loss = ops.where(a > 0.0, a * a, -a)
    return tape.gradient(loss, a)


@case(a=variable(1.5))
def a_python_loop(t, a):
    with t.GradientTape() as tape:
        loss = a * 1.0
        for _ in range(3):
            loss = loss * a
    return tape.gradient(loss, a)


@case(a=variable(1.5), eager_only="`if` on a tensor is plain Python")
def a_python_branch(t, a):
    with t.GradientTape() as tape:
        loss = a * a if a > 1.0 else a
    return tape.gradient(loss, a)


@case(a=variable(1.5))
def fori_loop(t, a):
    with t.GradientTape() as tape:
        loss = ops.fori_loop(0, 3, lambda i, v: v * a, a * 1.0)
    return tape.gradient(loss, a)


@case(a=variable(1.5))
def second_order_through_fori_loop(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = ops.fori_loop(0, 3, lambda i, v: v * a, a * 1.0)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(eager_only=TURNS, a=variable(1.5), refused_on=NO_REVERSE)
def while_loop(t, a):
    with t.GradientTape() as tape:
        loss = ops.while_loop(lambda v: v < 10.0, lambda v: (v * a,), (a * 1.0,))[0]
    return tape.gradient(loss, a)


@case(a=variable(1.5), refused_on=NO_REVERSE)
def while_loop_with_a_bound(t, a):
    with t.GradientTape() as tape:
        _, loss = ops.while_loop(
            lambda i, v: i < 10,
            lambda i, v: (i + 1, v * a),
            (ops.convert_to_tensor(0), a * 1.0),
            maximum_iterations=3,
        )
    return tape.gradient(loss, a)


@case(eager_only=TURNS, a=variable(1.5), x=tensor(1.0))
def while_loop_over_constants(t, a, x):
    with t.GradientTape() as tape:
        steps = ops.while_loop(lambda v: v < 10.0, lambda v: (v * 2.0,), (x,))[0]
        loss = a * steps
    return tape.gradient(loss, a)


@case(a=variable(1.5))
def while_loop_that_counts_in_integers(t, a):
    with t.GradientTape() as tape:
        count = ops.while_loop(
            lambda i: i < 5, lambda i: (i + 1,), (ops.convert_to_tensor(0),)
        )[0]
        loss = a * ops.cast(count, "float32")
    return tape.gradient(loss, a)


@case(eager_only=TURNS, a=variable(1.5), refused_on=NO_REVERSE)
def while_loop_behind_stop_gradient_elsewhere(t, a):
    with t.GradientTape() as tape:
        steps = ops.while_loop(lambda v: v < 10.0, lambda v: (v * a,), (a * 1.0,))[0]
        loss = a * a + steps
    return tape.gradient(loss, a)


@case(eager_only=TURNS, a=variable(1.5))
def while_loop_behind_stop_gradient(t, a):
    with t.GradientTape() as tape:
        steps = ops.while_loop(lambda v: v < 10.0, lambda v: (v * a,), (a * 1.0,))[0]
        loss = a * ops.stop_gradient(steps)
    return tape.gradient(loss, a)


@case(a=variable(1.5), x=tensor([1.0, 2.0, 3.0]), always_compiled=True)
def scan_with_a_variable_in_its_body(t, a, x):
    def body(carry, item):
        carry = carry * a + item
        return carry, carry * carry

    with t.GradientTape() as tape:
        last, each = ops.scan(body, ops.zeros(()), x)
        loss = last + ops.sum(each)
    return tape.gradient(loss, a)


@case(a=variable(1.5), x=tensor([1.0, 2.0, 3.0]))
def scan_over_a_watched_tensor(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        last, _ = ops.scan(lambda c, item: (c * item, c), a * 1.0, x)
    return tape.gradient(last, [a, x])


@case(a=variable([0.5, 0.2]), x=tensor([[1.0, 2.0], [3.0, -1.0]]))
def second_order_through_scan(t, a, x):
    def body(carry, item):
        carry = ops.tanh(carry * a + item)
        return carry, carry

    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            last, each = ops.scan(body, ops.zeros((2,)), x)
            loss = ops.sum(last) + ops.sum(each)
        first = inner.gradient(loss, a)
        size = ops.sum(ops.square(first))
    return [first, outer.gradient(size, a)]


@case(a=variable(1.5), x=tensor([1.0, 2.0, 3.0]))
def scan_backwards(t, a, x):
    def body(carry, item):
        return carry * a + item, carry

    with t.GradientTape() as tape:
        last, each = ops.scan(body, ops.ones(()), x, reverse=True)
        loss = last + ops.sum(each)
    return tape.gradient(loss, a)


@case(a=variable(1.5), x=tensor([1.0, 2.0, 3.0]))
def map_over_examples(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.map(lambda item: item * item * a, x)
    return tape.gradient(loss, [a, x])


@case(a=variable(1.5), x=tensor([1.0, 2.0, 3.0]))
def vectorized_map(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.vectorized_map(lambda item: item * item * a, x)
    return tape.gradient(loss, [a, x])


@case(a=variable([1.5, 2.0, 0.5]))
def associative_scan(t, a):
    with t.GradientTape() as tape:
        products = ops.associative_scan(lambda p, q: p * q, a * 1.0)
        loss = ops.sum(products)
    return tape.gradient(loss, a)


@case(a=variable(1.5), x=tensor([1.0, 2.0]), always_compiled=True)
def remat(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = keras.remat(lambda v: ops.sin(v * v))(a * x)
    return tape.gradient(loss, [a, x])


@case(a=variable(1.5), x=tensor([1.0, 2.0]))
def remat_with_a_variable_inside(t, a, x):
    with t.GradientTape() as tape:
        loss = keras.remat(lambda v: ops.sin(v * a))(x)
    return tape.gradient(loss, a)


@case(
    x=tensor([0.5, 2.0]),
    eager_only={"tensorflow": "tf.recompute_grad has no second derivative in a graph"},
)
def second_order_through_remat(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = keras.remat(lambda v: ops.sin(v * v))(x)
        first = inner.gradient(loss, x)
    return [first, outer.gradient(first, x)]


@case(a=variable(3.0), b=variable(0.0, trainable=False))
def an_assignment_in_a_python_branch(t, a, b):
    with t.GradientTape() as tape:
        for step in range(3):
            if step == 1:
                b.assign_add(2.0)
        loss = a * b
    return [loss, tape.gradient(loss, a)]
