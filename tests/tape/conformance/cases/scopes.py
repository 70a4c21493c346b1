"""Where a tape stands: in branches, in bodies of loops, in functions, in threads."""

import threading

import keras

from conformance.case import case, tensor, variable

ops = keras.ops

PLAIN_PYTHON = "threads are started by plain Python and not by a compiled step"


NOT_IN_A_MAP = {"torch": "function that PyTorch transforms"}
"""Autograd does not work inside of torch.vmap."""


def slope(t, function, *sources):
    """Returns the gradient of a function of watched tensors or variables."""
    with t.GradientTape() as tape:
        tape.watch(list(sources))
        value = function(*sources)
    found = tape.gradient(value, list(sources))
    return found[0] if len(found) == 1 else found


@case(a=variable(3.0), x=tensor(1.0))
def a_tape_in_a_branch(t, a, x):
    return ops.cond(
        x > 0.0, lambda: slope(t, lambda v: v * v, a), lambda: ops.zeros(())
    )


@case(x=tensor([1.0, 2.0, 3.0]), always_compiled=True)
def a_tape_in_the_body_of_a_scan(t, x):
    def body(carry, item):
        return carry, slope(t, lambda v: v * v * v, item)

    return ops.scan(body, ops.zeros(()), x)[1]


@case(a=variable(3.0), x=tensor([1.0, 2.0, 3.0]))
def a_tape_for_a_variable_in_the_body_of_a_scan(t, a, x):
    def body(carry, item):
        with t.GradientTape() as tape:
            loss = a * a * item
        return carry + tape.gradient(loss, a), item

    return ops.scan(body, ops.zeros(()), x)[0]


@case(a=variable(0.5))
def a_tape_in_the_body_of_a_while_loop(t, a):
    def body(i, v):
        return i + 1, v - 0.1 * slope(t, lambda w: w * w, v)

    start = (ops.convert_to_tensor(0), a * 1.0)
    return ops.while_loop(lambda i, v: i < 3, body, start)[1]


@case(a=variable(0.5))
def a_tape_in_the_body_of_a_fori_loop(t, a):
    def body(i, v):
        return v - 0.1 * slope(t, lambda w: w * w, v)

    return ops.fori_loop(0, 3, body, a * 1.0)


@case(refused_on=NOT_IN_A_MAP, x=tensor([1.0, 2.0, 3.0]))
def a_tape_in_vectorized_map(t, x):
    return ops.vectorized_map(lambda item: slope(t, lambda v: v * v * v, item), x)


@case(
    refused_on=NOT_IN_A_MAP,
    a=variable(2.0),
    x=tensor([1.0, 2.0, 3.0]),
)
def gradients_for_each_example_in_vectorized_map(t, a, x):
    def of_one(item):
        with t.GradientTape() as tape:
            loss = ops.square(a * item - 1.0)
        return tape.gradient(loss, a)

    return ops.vectorized_map(of_one, x)


@case(x=tensor([1.0, 2.0, 3.0]))
def a_tape_in_map(t, x):
    return ops.map(lambda item: slope(t, lambda v: v * v * v, item), x)


@case(a=variable(2.0), x=tensor([1.0, 2.0, 3.0]))
def a_tape_around_a_scan_with_a_tape_in_it(t, a, x):
    def body(carry, item):
        with t.GradientTape() as inner:
            loss = a * a * a * item
        return carry + inner.gradient(loss, a), item

    with t.GradientTape() as outer:
        total, _ = ops.scan(body, ops.zeros(()), x)
    return [total, outer.gradient(total, a)]


@case(a=variable(3.0), x=tensor(1.0))
def a_tape_around_a_branch_with_a_tape_in_it(t, a, x):
    def branch():
        with t.GradientTape() as inner:
            loss = a * a * a
        return inner.gradient(loss, a)

    with t.GradientTape() as outer:
        first = ops.cond(x > 0.0, branch, lambda: a * 1.0)
    return [first, outer.gradient(first, a)]


@case(a=variable(0.5), x=tensor([1.0, 2.0]))
def descent_in_a_loop_is_differentiated(t, a, x):
    def body(i, v):
        with t.GradientTape() as inner:
            inner.watch(v)
            loss = ops.sum(ops.square(v * x * a - 1.0))
        return v - 0.05 * inner.gradient(loss, v)

    with t.GradientTape() as outer:
        last = ops.fori_loop(0, 3, body, a * 1.0)
    return [last, outer.gradient(last, a)]


@case(a=variable(3.0))
def a_tape_in_a_function_that_the_block_calls(t, a):
    def derivative(value):
        return slope(t, lambda v: v * v * v, value)

    with t.GradientTape() as outer:
        loss = derivative(a * 2.0) * a
    return outer.gradient(loss, a)


@case(a=variable(3.0))
def a_tape_is_handed_to_a_function(t, a):
    def finish(tape, loss):
        with tape:
            loss = loss * a
        return tape.gradient(loss, a)

    with t.GradientTape() as tape:
        loss = a * a
    return finish(tape, loss)


@case(a=variable(3.0))
def a_tape_of_a_class(t, a):
    class Recorder:
        def __init__(self):
            self.tape = t.GradientTape(persistent=True)

        def __call__(self, function):
            with self.tape:
                return function()

    record = Recorder()
    loss = record(lambda: a * a)
    more = record(lambda: loss * a)
    return [record.tape.gradient(loss, a), record.tape.gradient(more, a)]


@case(a=variable(3.0))
def recursion(t, a):
    def derivative(order):
        if order == 0:
            return a * a * a * a
        with t.GradientTape() as tape:
            value = derivative(order - 1)
        return tape.gradient(value, a)

    return [derivative(order) for order in range(4)]


@case(a=variable(3.0))
def blocks_in_a_python_loop(t, a):
    found = []
    for factor in (1.0, 2.0, 3.0):
        with t.GradientTape() as tape:
            loss = a * a * factor
        found.append(tape.gradient(loss, a))
    return found


@case(a=variable(3.0))
def many_tapes_open_at_once(t, a):
    tapes = [t.GradientTape() for _ in range(10)]
    for tape in tapes:
        tape.__enter__()
    loss = a * a
    for tape in reversed(tapes):
        tape.__exit__(None, None, None)
    return [tape.gradient(loss, a) for tape in tapes]


@case(a=variable(3.0))
def generators_that_take_turns(t, a):
    def step(factor):
        tape = t.GradientTape()
        with tape:
            loss = a * factor
        yield
        with tape:
            loss = loss * a
        yield tape.gradient(loss, a)

    one, two = step(1.0), step(10.0)
    next(one), next(two)
    return [next(one), next(two)]


@case(a=variable(3.0), eager_only=PLAIN_PYTHON)
def another_thread_is_not_recorded(t, a):
    made = []

    def work():
        made.append(a * a)

    with t.GradientTape() as tape:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        loss = made[0] * 1.0
    return tape.gradient(loss, a)


@case(a=variable(3.0), b=variable(2.0), eager_only=PLAIN_PYTHON)
def each_thread_has_its_own_tapes(t, a, b):
    made = {}
    both_are_open = threading.Barrier(2)

    def work(name, source):
        with t.GradientTape() as tape:
            both_are_open.wait(timeout=10)
            loss = source * source
            both_are_open.wait(timeout=10)
        made[name] = tape.gradient(loss, source)

    threads = [
        threading.Thread(target=work, args=("a", a)),
        threading.Thread(target=work, args=("b", b)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


@case(a=variable(3.0), eager_only=PLAIN_PYTHON)
def a_gradient_is_taken_in_another_thread(t, a):
    made = []
    with t.GradientTape() as tape:
        loss = a * a
    thread = threading.Thread(target=lambda: made.append(tape.gradient(loss, a)))
    thread.start()
    thread.join()
    return made
