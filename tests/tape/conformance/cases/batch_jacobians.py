"""`batch_jacobian`: a Jacobian for each example."""

import keras

from conformance.case import built, case, tensor, variable

ops = keras.ops

BATCH = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@case(x=tensor(BATCH), always_compiled=True)
def of_a_batch_of_vectors(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH), w=variable([[1.0, 0.5, -1.0], [2.0, 0.0, 1.0]]))
def of_a_layer_of_another_width(t, x, w):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.tanh(ops.matmul(x, w) * 0.1)
    return tape.batch_jacobian(target, x)


@case(x=tensor([[[1.0, 2.0], [3.0, 4.0]]] * 2))
def of_a_batch_of_matrices(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.sum(x * x, axis=2)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def a_target_of_higher_rank(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.expand_dims(x, 1) * ops.expand_dims(x, 2)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def examples_that_depend_on_each_other_are_summed(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * ops.sum(x)
    return tape.batch_jacobian(target, x)


@case(a=variable(BATCH))
def of_a_variable(t, a):
    with t.GradientTape() as tape:
        target = a * a
    return tape.batch_jacobian(target, a)


@case(x=tensor(BATCH), model=built(lambda: keras.layers.Dense(3, "tanh"), (3, 2)))
def of_a_model(t, x, model):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = model(x)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def hessians(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = x[:, 0] * x[:, 0] * x[:, 1]
        first = inner.gradient(loss, x)
    return outer.batch_jacobian(first, x)


@case(x=tensor(BATCH))
def of_a_batch_jacobian(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            inner.watch(x)
            target = ops.sin(x)
        first = inner.batch_jacobian(target, x)
    return outer.batch_jacobian(first, x)


@case(x=tensor(BATCH), y=tensor(BATCH))
def an_unconnected_source(t, x, y):
    with t.GradientTape() as tape:
        tape.watch([x, y])
        target = x * x
    return tape.batch_jacobian(target, y)


@case(x=tensor(BATCH), y=tensor(BATCH))
def zeros_for_an_unconnected_source(t, x, y):
    with t.GradientTape() as tape:
        tape.watch([x, y])
        target = x * x
    return tape.batch_jacobian(target, y, unconnected_gradients="zero")


@case(x=tensor(BATCH))
def an_unwatched_source(t, x):
    with t.GradientTape() as tape:
        target = x * x
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def a_tape_gives_one(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    tape.batch_jacobian(target, x)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def many_of_a_persistent_tape(t, x):
    with t.GradientTape(persistent=True) as tape:
        tape.watch(x)
        one, two = x * x, ops.sin(x)
    return [
        tape.batch_jacobian(one, x),
        tape.batch_jacobian(two, x),
        tape.jacobian(ops.sum(one), x),
    ]


@case(x=tensor(BATCH))
def without_vectorization(t, x):
    with t.GradientTape(persistent=True) as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, x, experimental_use_pfor=False)


@case(x=tensor(BATCH), eager_only="TensorFlow's refusal is about eager code")
def without_vectorization_and_persistence(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, x, experimental_use_pfor=False)


@case(x=tensor(BATCH))
def batches_of_two_sizes(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x[:2] * 2.0
    return tape.batch_jacobian(target, x)


@case(x=tensor([1.0, 2.0]))
def a_source_of_rank_one(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.reshape(x * x, (2, 1))
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def a_target_of_rank_one(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.sum(x * x, axis=1)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def a_scalar_target(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = ops.sum(x * x)
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def a_list_of_sources(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, [x])


@case(x=tensor(BATCH))
def of_none(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        x * x
    return tape.batch_jacobian(None, x)


@case(x=tensor([[1.0, 2.0]]))
def a_batch_of_one(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, x)


@case(x=tensor([[1.0], [2.0]]))
def examples_of_one_element(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
    return tape.batch_jacobian(target, x)


@case(x=tensor(BATCH))
def inside_the_block(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        target = x * x
        return tape.batch_jacobian(target, x)
