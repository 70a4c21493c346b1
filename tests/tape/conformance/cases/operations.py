"""Operations in which a tape could go wrong: places, parts, linear algebra, sorting.

Each backend differentiates its own operations; here it is about the recording. Ties
(the larger of two equal numbers, |x| at 0) are left out: the frameworks' own slopes
differ there.
"""

import keras

from conformance.case import Difference, case, tensor, variable

ops = keras.ops

SQUARE = [[2.0, 0.5, 0.1], [0.5, 3.0, 0.2], [0.1, 0.2, 4.0]]
TABLE = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def each(t, a, functions):
    """Returns value and gradient of each function, each on a tape of its own."""
    found = []
    for function in functions:
        with t.GradientTape() as tape:
            # A value and not the variable: some of Keras' operations take no variable
            # on TensorFlow.
            target = function(a * 1.0)
        found.append([target, tape.gradient(target, a)])
    return found


@case(a=variable([0.5, 1.5, 2.5]))
def elementwise(t, a):
    functions = [ops.exp, ops.log, ops.sqrt, ops.tanh, ops.erf, ops.reciprocal]
    return each(t, a, functions)


@case(a=variable([0.5, -1.5, 2.5]))
def activations(t, a):
    functions = [ops.relu, ops.sigmoid, ops.leaky_relu, ops.gelu, ops.softmax]
    return each(t, a, [lambda x, f=f: f(x) * x for f in functions])


@case(a=variable(TABLE))
def reductions(t, a):
    weights = ops.convert_to_tensor([1.0, 10.0])
    functions = [
        lambda x: ops.mean(x, axis=0) * weights,
        lambda x: ops.prod(x, axis=0) * weights,
        lambda x: ops.max(x, axis=0) * weights,
        lambda x: ops.std(x, axis=0) * weights,
        lambda x: ops.logsumexp(x, axis=0) * weights,
    ]
    return each(t, a, functions)


@case(a=variable([1.0, 3.0, 2.0]))
def cumulation(t, a):
    weights = ops.convert_to_tensor([1.0, 10.0, 100.0])
    functions = [
        lambda x: ops.cumsum(x) * weights,
        lambda x: ops.cumprod(x) * weights,
        lambda x: ops.diff(x) * weights[:2],
    ]
    return each(t, a, functions)


@case(a=variable([3.0, 1.0, 2.0]))
def sorting_and_places(t, a):
    weights = ops.convert_to_tensor([1.0, 10.0, 100.0])
    functions = [
        lambda x: ops.sort(x) * weights,
        lambda x: ops.top_k(x, 2)[0] * weights[:2],
        lambda x: ops.maximum(x, 1.5) * weights,
        lambda x: ops.clip(x, 1.5, 2.5) * weights,
    ]
    return each(t, a, functions)


@case(a=variable(TABLE), n=tensor([2, 0, 2], "int32"), always_compiled=True)
def rows_of_a_table(t, a, n):
    with t.GradientTape() as tape:
        rows = ops.take(a, n, axis=0)
        loss = rows * rows
    return tape.gradient(loss, a)


@case(a=variable(TABLE), n=tensor([[0], [1], [0]], "int32"))
def places_along_an_axis(t, a, n):
    with t.GradientTape() as tape:
        chosen = ops.take_along_axis(a, n, axis=1)
        loss = chosen * chosen
    return tape.gradient(loss, a)


@case(a=variable(TABLE), n=tensor([2, 0], "int32"), m=tensor([[1, 1]], "int32"))
def rows_of_a_table_twice(t, a, n, m):
    with t.GradientTape(persistent=True) as tape:
        one, two = ops.take(a, n, axis=0), ops.take(a, m, axis=0)
        loss = ops.sum(one * one) + ops.sum(two)
        dense = ops.sum(a * 10.0)
    return [
        tape.gradient(loss, a),
        tape.gradient([loss, dense], a),
        tape.gradient(one, a),
    ]


@case(a=variable(TABLE), n=tensor([2, 0], "int32"))
def second_order_of_rows_of_a_table(t, a, n):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            rows = ops.take(a, n, axis=0)
            loss = rows * rows * rows
        first = inner.gradient(loss, a)
        size = ops.sum(ops.square(ops.convert_to_tensor(first)))
    return outer.gradient(size, a)


@case(a=variable(TABLE))
def slices(t, a):
    functions = [
        lambda x: x[1],
        lambda x: x[:, 1] * 3.0,
        lambda x: x[-1, 0] * x[0, 1],
        lambda x: ops.slice(x, (1, 0), (2, 1)) * 2.0,
        lambda x: ops.unstack(x)[1] * 5.0,
        lambda x: ops.split(x, 3)[2] * 5.0,
    ]
    return each(t, a, functions)


NO_SLICE_UPDATE = Difference(
    "on TensorFlow, Keras' slice_update is an operation without a gradient",
    gives=[
        tensor([1.0, 25.0, 49.0]),
        [tensor([2.0, 0.0, 0.0]), tensor([10.0, 14.0])],
    ],
)


@case(
    a=variable([1.0, 2.0, 3.0]),
    b=variable([5.0, 7.0]),
    differs={"jax": NO_SLICE_UPDATE, "torch": NO_SLICE_UPDATE},
)
def parts_are_put_in(t, a, b):
    with t.GradientTape() as tape:
        whole = ops.slice_update(a * 1.0, (1,), b * 1.0)
        loss = whole * whole
    return [loss, tape.gradient(loss, [a, b])]


@case(
    eager_only={"torch": "a tensor as a Python number is not traced"},
    a=variable([1.0, 2.0, 3.0]),
    b=variable([5.0, 7.0]),
)
def parts_are_scattered(t, a, b):
    places = ops.convert_to_tensor([[2], [0]])
    with t.GradientTape() as tape:
        spread = ops.scatter(places, b * 1.0, (3,))
        whole = ops.scatter_update(a * 1.0, places, b * 1.0)
        loss = spread * a + whole * whole
    return [loss, tape.gradient(loss, [a, b])]


@case(a=variable([1.0, 2.0, 3.0]), n=tensor([0, 1, 0], "int32"))
def sums_of_segments(t, a, n):
    with t.GradientTape() as tape:
        sums = ops.segment_sum(a * a, n, num_segments=2)
        loss = sums * sums
    return [loss, tape.gradient(loss, a)]


@case(a=variable(TABLE))
def shapes(t, a):
    functions = [
        lambda x: ops.reshape(x, (2, 3)) * ops.reshape(x, (2, 3)),
        lambda x: ops.transpose(x) * 2.0,
        lambda x: ops.expand_dims(x, 0) * x,
        lambda x: ops.concatenate([x, x * 2.0], axis=1),
        lambda x: ops.tile(x, (2, 2)),
        lambda x: ops.pad(x, ((1, 0), (0, 2))) * 3.0,
        lambda x: ops.roll(x, 1, axis=0) * x,
        lambda x: ops.tril(x) * 2.0,
    ]
    return each(t, a, functions)


@case(a=variable([[1.0, 2.0]]), b=variable([[3.0], [4.0], [5.0]]))
def broadcasting(t, a, b):
    with t.GradientTape() as tape:
        loss = [a * b, a - b, a / b, ops.maximum(a, b * 0.45), a + 1.0]
    return tape.gradient(loss, [a, b])


@case(
    a=variable(TABLE),
    b=variable([[1.0, -1.0, 0.5], [2.0, 0.0, 1.0]]),
)
def products(t, a, b):
    with t.GradientTape() as tape:
        loss = [
            ops.matmul(a, b),
            ops.dot(a, b),
            ops.einsum("ij,jk->ki", a, b),
            ops.tensordot(a, b, axes=[[1], [0]]),
            ops.outer(a[0], b[0]),
            a @ b,
        ]
    return tape.gradient(loss, [a, b])


@case(a=variable(SQUARE), b=variable([[1.0], [2.0], [3.0]]))
def linear_systems(t, a, b):
    with t.GradientTape() as tape:
        loss = [ops.solve(a, b * 1.0), ops.inv(a), ops.det(a)]
    return tape.gradient(loss, [a, b])


@case(a=variable(SQUARE), rtol=1e-4)  # iterative algorithms in float32
def factorizations(t, a):
    def symmetric(x):
        return (x + ops.transpose(x)) / 2.0

    functions = [
        lambda x: ops.cholesky(symmetric(x)),
        lambda x: ops.eigh(symmetric(x))[0],
        lambda x: ops.svd(x)[1],
    ]
    return each(t, a, functions)


@case(x=tensor([[[1.0], [2.0], [-1.0], [0.5]]]), k=variable([[[0.5]], [[-1.0]]]))
def convolution(t, x, k):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.square(ops.conv(x, k, padding="same"))
    return tape.gradient(loss, [x, k])


@case(x=tensor([[[1.0], [2.0], [-1.0], [0.5]]]))
def pooling(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = [ops.max_pool(x, 2, 2) * x[:, :2], ops.average_pool(x, 2, 2)]
    return tape.gradient(loss, x)


@case(x=tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]]))
def resizing(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.square(ops.image.resize(x, (3, 4)))
    return tape.gradient(loss, x)


@case(a=variable([0.2, 0.7, 0.1]), y=tensor([0.0, 1.0, 0.0]))
def losses(t, a, y):
    functions = [
        lambda x: ops.categorical_crossentropy(y, x, from_logits=True),
        lambda x: ops.binary_crossentropy(y, x, from_logits=True),
        lambda x: keras.losses.cosine_similarity(y, x),
    ]
    return each(t, a, functions)


@case(a=variable([[1.0, 2.0]]))
def random_numbers_are_constants(t, a):
    with t.GradientTape() as tape:
        noise = keras.random.normal((1, 2), seed=3)
        loss = a * noise
    return tape.gradient(loss, a) - noise


@case(a=variable([3.0, 4.0]))
def norms_at_zero_are_guarded_by_where(t, a):
    with t.GradientTape() as tape:
        x = a * 0.0
        safe = ops.where(x > 0.0, x, 1.0)
        loss = ops.where(x > 0.0, ops.sqrt(safe), 0.0)
    return tape.gradient(loss, a)


@case(a=variable([1.0, 2.0]), b=variable([3.0, 4.0]))
def results_of_which_one_is_used(t, a, b):
    with t.GradientTape() as tape:
        real, _ = ops.fft((a * 1.0, b * 1.0))
        values, _ = ops.top_k(a * 1.0, 1)
        loss = ops.sum(real) + values
    return tape.gradient(loss, [a, b])
