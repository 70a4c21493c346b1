"""What may stand in `sources`, and that the result has its structure."""

from collections import OrderedDict, namedtuple

from conformance.case import case, tensor, variable

Pair = namedtuple("Pair", ["first", "second"])


@case(a=variable(3.0))
def a_single_source(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, a)


@case(a=variable(3.0), b=variable(5.0))
def a_list(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, [a, b])


@case(a=variable(3.0), b=variable(5.0))
def a_tuple(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, (b, a))


@case(a=variable(3.0), b=variable(5.0))
def a_dict(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, {"second": b, "first": a})


@case(a=variable(3.0), b=variable(5.0), always_compiled=True)
def nested_structures(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, {"all": [a, (b, {"again": a})], "one": b})


@case(a=variable(3.0), b=variable(5.0))
def a_named_tuple(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    found = tape.gradient(loss, Pair(a, b))
    return [type(found).__name__, found.first, found.second]


@case(a=variable(3.0), b=variable(5.0))
def an_ordered_dict(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    found = tape.gradient(loss, OrderedDict([("z", a), ("y", b)]))
    return [list(found), found["z"], found["y"]]


@case(a=variable(3.0), b=variable(5.0))
def the_same_source_twice(t, a, b):
    with t.GradientTape() as tape:
        loss = a * a * b
    return tape.gradient(loss, [a, b, a])


@case(x=tensor([1.0, 2.0]))
def the_same_tensor_twice(t, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = x * x
    return tape.gradient(loss, [x, x])


@case(a=variable(3.0), x=tensor([1.0, 2.0]), always_compiled=True)
def variables_and_tensors_together(t, a, x):
    with t.GradientTape() as tape:
        tape.watch(x)
        loss = a * x * x
    return tape.gradient(loss, {"variable": a, "tensor": x})


@case(a=variable(3.0))
def an_empty_list(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [])


@case(a=variable(3.0))
def an_empty_dict(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, {})


@case(a=variable(3.0))
def an_empty_list_inside(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [a, [], ()])


@case(a=variable(3.0))
def sources_none(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, None)


@case(a=variable(3.0))
def a_none_among_sources(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, [a, None])


@case(a=variable(3.0))
def a_python_number_as_source(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, 3.0)


@case(a=variable(3.0))
def a_string_as_source(t, a):
    with t.GradientTape() as tape:
        loss = a * a
    return tape.gradient(loss, "a")


@case(a=variable(3.0), x=tensor([1.0, 2.0]))
def a_numpy_array_as_source(t, a, x):
    import numpy as np

    with t.GradientTape() as tape:
        loss = a * x
    return tape.gradient(loss, np.ones(2, "float32"))


@case(m=variable([[1.0, 2.0], [3.0, 4.0]]), b=variable([1.0, -1.0]))
def shapes_of_the_sources(t, m, b):
    import keras

    with t.GradientTape() as tape:
        loss = keras.ops.sum(keras.ops.matmul(m, m) + b)
    return tape.gradient(loss, [m, b])
