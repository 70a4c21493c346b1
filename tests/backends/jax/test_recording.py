"""The recording trace: what it costs, what it keeps apart, and when it goes."""

import jax
import jax.extend
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.extend.core import get_opaque_trace_state

import ownloop as ol
from ownloop.backends.contract import LeafSpec, StepValues
from ownloop.backends.jax import compile, state
from ownloop.errors import StepError, TapeError

layers = keras.layers


def mlp():
    return keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu"), layers.Dense(4)]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def gru():
    return keras.Sequential([keras.Input((6, 5)), layers.GRU(8), layers.Dense(4)])


def attention():
    tokens = keras.Input((6, 8))
    mixed = layers.LayerNormalization()(
        tokens + layers.MultiHeadAttention(2, 4)(tokens, tokens)
    )
    return keras.Model(tokens, layers.Dense(4)(layers.GlobalAveragePooling1D()(mixed)))


def cost_of(gradients, model):
    """Returns what XLA says of a step as ownloop compiles it: operations and bytes."""

    def step(leaves):
        loss, found = gradients(*leaves)
        return StepValues((loss,), tuple(found))

    batch = [LeafSpec((4, *model.input_shape[1:]), "float32"), LeafSpec((4,), "int32")]
    traced = compile._trace(step, state.discover(step, batch), batch)
    program = jax.jit(jax.extend.core.jaxpr_as_fun(traced.jaxpr))
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in traced.jaxpr.in_avals]
    analysis = program.lower(*shapes).compile().cost_analysis()
    return analysis["flops"], analysis["bytes accessed"]


@pytest.mark.in_turn(of=("jax",), most=2)
@pytest.mark.parametrize("make", [mlp, cnn, gru, attention])
def test_a_tape_costs_what_value_and_grad_costs(make):
    model = make()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = model.trainable_variables

    def loss_of(x, y):
        return loss_fn(y, model(x, training=True))

    def step(by_tape):
        def step(x, y):
            if not by_tape:
                return ol.value_and_grad(loss_of, variables)(x, y)
            with ol.GradientTape() as tape:
                loss = loss_of(x, y)
            return loss, tape.gradient(loss, variables)

        return step

    assert cost_of(step(True), model) == cost_of(step(False), model)


def test_no_trace_is_left_however_tapes_are_closed():
    before = get_opaque_trace_state()
    v = keras.Variable(3.0)
    with ol.GradientTape() as outer:
        left = v * v
        with ol.GradientTape() as inner:
            right = v * v
            # Closes the outer tape, which is not the innermost one.
            assert float(outer.gradient(left, v)) == 6.0
            again = right * v
        assert float(inner.gradient(again, v)) == 27.0
    assert get_opaque_trace_state() == before
    with pytest.raises(KeyError), ol.GradientTape() as tape, tape.stop_recording():
        raise KeyError
    assert get_opaque_trace_state() == before


def test_a_jitted_function_may_hold_a_watched_value_inside():
    w = jnp.asarray(3.0)
    with ol.GradientTape() as tape:
        tape.watch(w)
        y = jax.jit(lambda x: x * w * w)(jnp.asarray(2.0))
    assert float(tape.gradient(y, w)) == 12.0


def test_variables_that_share_an_array_are_kept_apart():
    student, teacher = keras.Variable(3.0), keras.Variable(0.0, trainable=False)
    teacher.assign(student)
    assert teacher.value is student.value
    with ol.GradientTape() as tape:
        loss = student * teacher
    assert float(tape.gradient(loss, student)) == 3.0
    other = keras.Variable(0.0)
    other.assign(student)
    with ol.GradientTape() as tape:
        loss = student * student * other
    assert [float(g) for g in tape.gradient(loss, [student, other])] == [18.0, 9.0]


def test_the_property_of_keras_is_wrapped_while_a_tape_records_only():
    before = keras.Variable.value
    v = keras.Variable(3.0)
    with ol.GradientTape():
        assert keras.Variable.value is not before
        assert float(v.value) == 3.0
    assert keras.Variable.value is before
    assert "value" not in vars(keras.Variable)


def test_a_loop_of_unknown_length_is_refused_when_its_gradient_is_asked_for():
    v = keras.Variable(3.0)
    with ol.GradientTape() as tape:
        (y,) = keras.ops.while_loop(lambda x: x < 50.0, lambda x: (x * v,), (v * 1.0,))
    with pytest.raises(TapeError, match=r"while_loop.*keras\.ops\.scan.*fori_loop"):
        tape.gradient(y, v)


@pytest.mark.parametrize("kind", ["cond", "scan", "vectorized_map"])
def test_an_assignment_that_cannot_leave_is_refused(kind):
    count = keras.Variable(0.0, trainable=False)
    ops = keras.ops

    def add(value):
        count.assign_add(value)
        return value

    def step(x):
        if kind == "cond":
            jax.lax.cond(x[0] > 0, lambda: add(x[0]), lambda: x[0])
        elif kind == "scan":
            ops.scan(lambda carry, value: (carry + add(value), value), 0.0 * x[0], x)
        else:
            ops.vectorized_map(add, x)
        return ops.sum(x)

    loop = ol.Loop(observers=[])
    with pytest.raises(StepError, match=r"'variable.*`ownloop\.cond`.*stateless_apply"):
        loop.validate(step, ol.Batches(np.ones(3, "float32"), batch_size=3))
