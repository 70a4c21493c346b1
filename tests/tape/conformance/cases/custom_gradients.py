"""`keras.ops.custom_gradient` and `stop_gradient`: the user's word is respected.

On PyTorch Keras calls the gradient function with the inputs and `upstream=`, elsewhere
with the upstream value alone; `upstream_of` is the portable form.
"""

import keras

from conformance.case import Difference, case, tensor, variable

ops = keras.ops


def upstream_of(given, upstream):
    return given[0] if upstream is None else upstream


@ops.custom_gradient
def doubled(x):
    """Returns x, and says that its slope is two."""

    def gradient(*given, upstream=None):
        return upstream_of(given, upstream) * 2.0

    return x * 1.0, gradient


@ops.custom_gradient
def reversed_gradient(x):
    def gradient(*given, upstream=None):
        return -upstream_of(given, upstream)

    return ops.copy(x), gradient


@ops.custom_gradient
def product_with_own_gradient(x, y):
    def gradient(*given, upstream=None):
        coming = upstream_of(given, upstream)
        return coming * 10.0, coming * 100.0

    return x * y, gradient


@ops.custom_gradient
def cube(x):
    """Returns x ** 3 with the slope 3 x ** 2, which can be differentiated again."""

    def gradient(*given, upstream=None):
        return upstream_of(given, upstream) * 3.0 * x * x

    return x * x * x, gradient


@ops.custom_gradient
def log1pexp(x):
    e = ops.exp(x)

    def gradient(*given, upstream=None):
        return upstream_of(given, upstream) * (1.0 - 1.0 / (1.0 + e))

    return ops.log(1.0 + e), gradient


@ops.custom_gradient
def quadrupled(x):
    def gradient(*given, upstream=None):
        return upstream_of(given, upstream) * 2.0

    return doubled(x), gradient


@ops.custom_gradient
def failing(x):
    def gradient(*given, upstream=None):
        raise KeyError("mine")

    return x * 1.0, gradient


@case(x=tensor([1.0, 2.0]))
def of_a_watched_tensor(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = doubled(x) * 5.0
    return [loss, tape.gradient(loss, x)]


A_VARIABLE = Difference(
    "tf.custom_gradient refuses variables unless the gradient function has a keyword "
    "`variables`; the tape is not asked",
    gives=[tensor([5.0, 10.0]), tensor([10.0, 10.0])],
)

A_VARIABLE_UNSEEN = Difference(
    "Keras hands the variable as it is to PyTorch's autograd.Function, which takes it "
    "for no tensor; hand in `variable.value`",
    gives=[tensor([5.0, 10.0]), None],
)


@case(
    a=variable([1.0, 2.0]),
    differs={"jax": A_VARIABLE, "torch": A_VARIABLE_UNSEEN},
    eager_only={
        "tensorflow": "in a step the variable is a tensor, which it takes",
        "torch": "the gradient is None, as eagerly",
    },
)
def of_a_variable(t, a):
    with t.GradientTape() as tape:
        loss = doubled(a) * 5.0
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0]), always_compiled=True)
def of_a_value_of_the_block(t, a):
    with t.GradientTape() as tape:
        loss = doubled(a * a) * 5.0
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0]))
def a_reversed_gradient(t, a):
    with t.GradientTape() as tape:
        loss = reversed_gradient(a * 3.0)
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0]), b=variable([3.0, 4.0]))
def of_two_arguments(t, a, b):
    with t.GradientTape() as tape:
        loss = product_with_own_gradient(a * 1.0, b * 1.0)
    return [loss, tape.gradient(loss, [a, b])]


@case(a=variable([1.0, 2.0]), x=tensor([3.0, 4.0]))
def with_an_argument_that_is_not_watched(t, a, x):
    with t.GradientTape() as tape:
        loss = product_with_own_gradient(a * 1.0, x)
    return [loss, tape.gradient(loss, [a, x])]


@case(x=tensor([1.0, 2.0]))
def of_an_unwatched_tensor(t, x):
    with t.GradientTape() as tape:
        loss = doubled(x)
    return tape.gradient(loss, x)


@case(a=variable([0.5, -2.0, 100.0]))
def a_stable_formula(t, a):
    with t.GradientTape() as tape:
        loss = log1pexp(a * 1.0)
    return tape.gradient(loss, a)


@case(a=variable([1.0, 2.0]))
def one_within_another(t, a):
    with t.GradientTape() as tape:
        loss = quadrupled(a * 1.0)
    return [loss, tape.gradient(loss, a)]


@case(a=variable([1.0, 2.0]))
def one_after_another(t, a):
    with t.GradientTape() as tape:
        loss = doubled(doubled(a * 1.0) * 3.0)
    return [loss, tape.gradient(loss, a)]


@case(x=tensor([1.0, 2.0]))
def second_order(t, x):
    with t.GradientTape() as outer:
        outer.watch(x)
        with t.GradientTape() as inner:
            inner.watch(x)
            loss = cube(x)
        first = inner.gradient(loss, x)
    return [first, outer.gradient(first, x)]


@case(a=variable([0.5, 2.0]))
def second_order_of_a_variable(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = cube(a * 1.0)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(refused_on={"torch": "that its forward pass computed"}, a=variable([0.5, 2.0]))
def second_order_over_values_of_the_forward_pass(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = log1pexp(a * 1.0)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable([1.0, 2.0]))
def an_outer_tape_over_a_constant_slope(t, a):
    with t.GradientTape() as outer:
        with t.GradientTape() as inner:
            loss = doubled(a * a)
        first = inner.gradient(loss, a)
    return [first, outer.gradient(first, a)]


@case(a=variable([1.0, 2.0]))
def an_exception_in_the_gradient(t, a):
    with t.GradientTape() as tape:
        loss = failing(a * 1.0)
    return tape.gradient(loss, a)


@case(a=variable([1.0, 2.0]))
def weights_reach_the_custom_gradient(t, a):
    with t.GradientTape() as tape:
        loss = doubled(a * 1.0)
    weights = ops.convert_to_tensor([10.0, 100.0])
    return tape.gradient(loss, a, output_gradients=weights)


@case(a=variable(3.0), always_compiled=True)
def stop_gradient(t, a):
    with t.GradientTape() as tape:
        loss = ops.stop_gradient(a * a) * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def stop_gradient_of_a_variable(t, a):
    with t.GradientTape() as tape:
        loss = ops.stop_gradient(a) * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def stop_gradient_of_all(t, a):
    with t.GradientTape() as tape:
        loss = ops.stop_gradient(a * a)
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def what_stop_gradient_made_as_source(t, a):
    with t.GradientTape() as tape:
        stopped = ops.stop_gradient(a * a)
        loss = stopped * a
    return tape.gradient(loss, [stopped, a])


@case(a=variable(3.0))
def what_stop_gradient_made_can_be_watched(t, a):
    with t.GradientTape() as tape:
        stopped = ops.stop_gradient(a * a)
        tape.watch(stopped)
        loss = stopped * a
    return tape.gradient(loss, [stopped, a])


@case(x=tensor([1.0, 2.0]))
def stop_gradient_of_a_watched_tensor(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = ops.stop_gradient(x) * x
    return tape.gradient(loss, x)


@case(a=variable([0.3, 1.7]))
def a_straight_through_estimator(t, a):
    with t.GradientTape() as tape:
        rounded = a + ops.stop_gradient(ops.round(a) - a)
        loss = rounded * rounded
    return [loss, tape.gradient(loss, a)]
