"""`jacobian`: each element of the target for each element of the sources."""

import keras

from conformance.case import case, tensor, variable

ops = keras.ops


@case(x=tensor([1.0, 2.0]), always_compiled=True)
def of_a_vector(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.jacobian(target, x)


@case(x=tensor([1.0, 2.0, 3.0]))
def of_a_vector_of_another_length(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.stack([x[0] * x[1], ops.sum(x * x)])
    return tape.jacobian(target, x)


@case(a=variable([[1.0, 2.0], [3.0, 4.0]]), x=tensor([[0.5, -1.0]]))
def of_a_matrix_for_a_matrix(t, a, x):
    with t.GradientTape() as tape:
        target = ops.tanh(ops.matmul(x, a))
    return tape.jacobian(target, a)


@case(a=variable([1.0, 2.0]))
def of_a_scalar(t, a):
    with t.GradientTape() as tape:
        target = ops.sum(a * a)
    return tape.jacobian(target, a)


@case(a=variable(2.0))
def of_a_scalar_for_a_scalar(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, a)


@case(a=variable(2.0), x=tensor([[1.0, 2.0]]))
def sources_in_a_structure(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = a * a * x
    return tape.jacobian(target, {"a": a, "rest": [x]})


@case(a=variable(2.0), x=tensor([1.0, 2.0]))
def sources_in_a_tuple(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = a * x
    return tape.jacobian(target, (x, a))


@case(a=variable([2.0, 3.0]), b=variable([1.0, 1.0]))
def an_unconnected_source(t, a, b):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, [a, b])


@case(a=variable([2.0, 3.0]), b=variable([1.0, 1.0, 1.0]))
def zeros_for_an_unconnected_source(t, a, b):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, [a, b], unconnected_gradients="zero")


@case(x=tensor([1.0, 2.0]))
def an_unwatched_source(t, x):
    with t.GradientTape() as tape:
        target = x * x
    return tape.jacobian(target, x)


@case(x=tensor([1.0, 2.0]))
def of_a_source_for_itself(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
    return tape.jacobian(x, x)


@case(x=tensor([1.0, 2.0]))
def a_tape_gives_one_jacobian(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    tape.jacobian(target, x)
    return tape.jacobian(target, x)


@case(x=tensor([1.0, 2.0]))
def no_gradient_after_a_jacobian(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    tape.jacobian(target, x)
    return tape.gradient(target, x)


@case(x=tensor([1.0, 2.0]))
def many_of_a_persistent_tape(t, x):
    with t.GradientTape(persistent=True) as tape:
        tape.watch(x)
        one, two = x * x, ops.sin(x)
    return [tape.jacobian(one, x), tape.jacobian(two, x), tape.gradient(one, x)]


@case(a=variable([1.0, 2.0]), always_compiled=True)
def a_hessian(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = a[0] * a[0] * a[1] + ops.sin(a[1])
        first = inner.gradient(loss, a)
    return outer.jacobian(first, a)


@case(a=variable([1.0, 2.0]))
def a_hessian_of_two_jacobians(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            target = ops.stack([a[0] * a[0] * a[1], ops.sin(a[1]) * a[0]])
        first = inner.jacobian(target, a)
    return [first, outer.jacobian(first, a)]


@case(a=variable([1.0, 2.0]))
def the_gradient_of_a_jacobian(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            target = a * a * a
        first = inner.jacobian(target, a)
        size = ops.sum(first * first)
    return outer.gradient(size, a)


@case(a=variable([1.0, 2.0]))
def inside_the_block(t, a):
    with t.GradientTape() as tape:
        target = a * a
        return tape.jacobian(target, a)


@case(a=variable([1.0, 2.0]))
def inside_the_block_of_a_persistent_tape(t, a):
    with t.GradientTape(persistent=True) as tape:
        target = a * a * a
        found = tape.jacobian(target, a)
        size = ops.sum(found)
    return [found, tape.gradient(size, a)]


@case(a=variable([1.0, 2.0]))
def without_vectorization(t, a):
    with t.GradientTape(persistent=True) as tape:
        target = a * a * a[0]
    return tape.jacobian(target, a, experimental_use_pfor=False)


@case(a=variable([1.0, 2.0]), eager_only="TensorFlow's refusal is about eager code")
def without_vectorization_and_persistence(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, a, experimental_use_pfor=False)


@case(a=variable([1.0, 2.0]))
def with_parallel_iterations(t, a):
    with t.GradientTape(persistent=True) as tape:
        target = a * a
    return tape.jacobian(target, a, parallel_iterations=1, experimental_use_pfor=False)


@case(a=variable([[1.0, 2.0], [3.0, 4.0]]), n=tensor([1, 0, 1], "int32"))
def through_rows_of_a_table(t, a, n):
    with t.GradientTape() as tape:
        target = ops.sum(ops.take(a, n, axis=0) ** 2, axis=1)
    return tape.jacobian(target, a)


@case(a=variable([0.5, 0.2]), x=tensor([1.0, 2.0, 3.0]))
def through_scan(t, a, x):
    with t.GradientTape() as tape:
        target, _ = ops.scan(lambda c, v: (ops.tanh(c * a + v), c), ops.zeros((2,)), x)
    return tape.jacobian(target, a)


@case(a=variable([0.5, 2.0]), x=tensor(1.0))
def through_cond(t, a, x):
    with t.GradientTape() as tape:
        target = ops.cond(x > 0.0, lambda: a * a, lambda: a * 1.0)
    return tape.jacobian(target, a)


@case(a=variable([1.0, 2.0]))
def of_an_intermediate_tensor(t, a):
    with t.GradientTape() as tape:
        middle = a * a
        target = middle * middle[0]
    return tape.jacobian(target, [middle, a])


@case(a=variable([1.0, 2.0, 3.0]))
def of_an_integer_target(t, a):
    with t.GradientTape() as tape:
        target = ops.argsort(a)
    return tape.jacobian(target, a)


@case(a=variable([1.0, 2.0]))
def of_a_target_without_elements(t, a):
    with t.GradientTape() as tape:
        target = a[:0] * 2.0
    return tape.jacobian(target, a)


@case(a=variable([1.0, 2.0]))
def of_none(t, a):
    with t.GradientTape() as tape:
        a * a
    return tape.jacobian(None, a)


@case(a=variable([1.0, 2.0]))
def of_a_list_of_targets(t, a):
    with t.GradientTape() as tape:
        one, two = a * a, a * 2.0
    return tape.jacobian([one, two], a)


@case(a=variable([1.0, 2.0]))
def with_an_unknown_word(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, a, unconnected_gradients="nothing")


@case(a=variable([1.0, 2.0], "float16"))
def in_half_precision(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.jacobian(target, a)
