"""`value_and_grad`: values, gradients, what comes along, and state."""

import keras

from conformance.case import built, case, tensor, variable

ops = keras.ops


@case(a=variable(3.0), x=tensor([1.0, 2.0]), always_compiled=True)
def a_value_and_its_gradient(t, a, x):
    return t.value_and_grad(lambda v: ops.sum(a * a * v), a)(x)


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def variables_in_a_structure(t, a, b):
    return t.value_and_grad(lambda: ops.sum(a * a * b), {"a": a, "rest": (b,)})()


@case(a=variable(3.0), b=variable([1.0, 2.0]))
def zeros_for_an_unconnected_variable(t, a, b):
    return t.value_and_grad(lambda: a * a, [a, b])()


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def what_comes_along(t, a, x):
    def function(v):
        scaled = a * v
        return ops.sum(scaled * scaled), {"scaled": scaled, "number": 7}

    return t.value_and_grad(function, a, has_aux=True)(x)


@case(a=variable(3.0, trainable=False))
def a_frozen_variable(t, a):
    return t.value_and_grad(lambda: a * a, a)()


@case(a=variable(3.0), b=variable(2.0))
def only_the_named_variables(t, a, b):
    return t.value_and_grad(lambda: a * a * b, [b])()


@case(a=variable(3.0), b=variable(0.0, trainable=False), always_compiled=True)
def state_is_assigned(t, a, b):
    def function():
        b.assign_add(a * 2.0)
        return a * a * b

    value, gradient = t.value_and_grad(function, a)()
    return [value, gradient, b + 0.0]


@case(refused_on={"torch": "changed in place"}, a=variable(3.0))
def a_variable_of_its_own_is_assigned(t, a):
    def function():
        early = a * a
        a.assign(5.0)
        return early * 2.0

    return [*t.value_and_grad(function, a)(), a + 0.0]


@case(a=variable(3.0))
def one_within_another(t, a):
    def inner():
        return t.value_and_grad(lambda: a * a * a, a)()[1]

    return t.value_and_grad(inner, a)()


@case(a=variable(1.5))
def three_deep(t, a):
    def first():
        return t.value_and_grad(lambda: a * a * a * a, a)()[1]

    def second():
        return t.value_and_grad(first, a)()[1]

    return t.value_and_grad(second, a)()


@case(a=variable(3.0), b=variable(2.0))
def mixed_derivatives(t, a, b):
    def by_a():
        return t.value_and_grad(lambda: a * a * b * b * b, a)()[1]

    return t.value_and_grad(by_a, b)()


@case(a=variable(3.0))
def inside_a_tape(t, a):
    with t.GradientTape() as tape:
        _, first = t.value_and_grad(lambda: a * a * a, a)()
    return [first, tape.gradient(first, a)]


@case(a=variable(3.0))
def the_value_inside_a_tape(t, a):
    with t.GradientTape() as tape:
        value, _ = t.value_and_grad(lambda: a * a * a, a)()
        loss = value * a
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def around_a_tape(t, a):
    def function():
        with t.GradientTape() as tape:
            loss = a * a * a
        return tape.gradient(loss, a)

    return t.value_and_grad(function, a)()


@case(a=variable([1.0, 2.0]))
def what_comes_along_inside_a_tape(t, a):
    def function():
        return ops.sum(a * a), a * 3.0

    with t.GradientTape() as tape:
        (_, aux), first = t.value_and_grad(function, a, has_aux=True)()
        loss = ops.sum(aux * first)
    return tape.gradient(loss, a)


@case(a=variable(3.0))
def twice_in_a_row(t, a):
    function = t.value_and_grad(lambda: a * a, a)
    _, first = function()
    a.assign_sub(0.1 * first)
    return function()


@case(a=variable(3.0), b=variable(2.0), x=tensor(1.0), y=tensor(5.0))
def several_arguments(t, a, b, x, y):
    return t.value_and_grad(lambda v, w: a * v + b * w, [a, b])(x, y)


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def a_structure_as_argument(t, a, x):
    def function(batch):
        return ops.sum(a * batch["x"] * batch["weights"][0])

    return t.value_and_grad(function, a)({"x": x, "weights": [x * 2.0]})


@case(
    model=built(lambda: keras.layers.Dense(2, "tanh"), (2, 3)),
    x=tensor([[1.0, -2.0, 0.5], [0.3, 0.8, -0.7]]),
)
def of_a_layer(t, model, x):
    def function(inputs):
        output = model(inputs)
        return ops.sum(ops.square(output)), output

    variables = model.trainable_variables
    return t.value_and_grad(function, variables, has_aux=True)(x)


@case(
    model=built(keras.layers.BatchNormalization, (2, 3)),
    x=tensor([[1.0, -2.0, 0.5], [0.3, 0.8, -0.7]]),
    rtol=1e-4,  # differences of nearly equal numbers
)
def of_a_layer_with_state(t, model, x):
    def function(inputs):
        return ops.sum(ops.square(model(inputs, training=True)) * inputs)

    value, gradients = t.value_and_grad(function, model.trainable_variables)(x)
    return [value, gradients, [v + 0.0 for v in model.non_trainable_variables]]


@case(a=variable(3.0))
def no_variables(t, a):
    return t.value_and_grad(lambda: a * a, [])()


@case(a=variable(2.0), x=tensor([1.0, 2.0, 3.0]))
def with_a_loop_inside(t, a, x):
    def function():
        last, _ = ops.scan(lambda c, v: (c * a + v, c), ops.zeros(()), x)
        return last

    return t.value_and_grad(function, a)()
