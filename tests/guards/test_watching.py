"""Layers and optimizers are watched, however Keras lets them be called."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.guards import Stage, replay

WAYS = {
    "by place": lambda sgd, found, weights: sgd.apply(found, weights),
    "by the name of the variables": lambda sgd, found, weights: sgd.apply(
        found, trainable_variables=weights
    ),
    "by both names": lambda sgd, found, weights: sgd.apply(
        trainable_variables=weights, grads=found
    ),
    "with the variables from an iterator": lambda sgd, found, weights: sgd.apply(
        found, iter(weights)
    ),
    "with the variables that it was built for": lambda sgd, found, weights: sgd.apply(
        found
    ),
    "in pairs": lambda sgd, found, weights: sgd.apply_gradients(
        zip(found, weights, strict=True)
    ),
    "in pairs, by name": lambda sgd, found, weights: sgd.apply_gradients(
        grads_and_vars=list(zip(found, weights, strict=True))
    ),
}


@pytest.fixture
def weight():
    return keras.Variable(np.zeros(2, "float32"), name="weight")


def descending(weights, optimizer, call):
    """Return a step whose gradient is infinite where a weight is 0."""

    def step(x):
        with ol.GradientTape() as tape:
            loss = sum(keras.ops.sum(keras.ops.sqrt(w) * x) for w in weights)
        call(optimizer, tape.gradient(loss, weights), weights)
        return {"loss": loss}

    return step


def replayed(step, variables, host):
    state = [(variable, host(variable)) for variable in variables]
    return replay(step, np.ones(2, "float32"), state)


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
def test_a_step_is_replayed_in_whatever_way_it_calls_its_optimizer(call, weight, host):
    sgd = keras.optimizers.SGD(0.1, name="sgd")
    sgd.build([weight])
    step = descending([weight], sgd, call)
    report = replayed(step, [weight, *sgd.variables], host)
    assert [str(finding) for finding in report.findings] == [
        "the gradient for weight has 2 inf among 2 values",
        "the new value of weight has 2 inf among 2 values",
    ]


def test_a_loop_replays_a_step_that_calls_it_by_the_name_of_the_variables(weight):
    sgd = keras.optimizers.SGD(0.1, name="sgd")
    sgd.build([weight])
    step = descending([weight], sgd, WAYS["by the name of the variables"])
    loop = ol.Loop(observers=(), nonfinite="stop", compile=False)
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(np.ones((1, 2), "float32"), batch_size=1)).run()
    assert loop.replay(step).first.stage is Stage.GRADIENT


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="there Keras scales in traced steps only"
)
def test_an_optimizer_within_another_one_is_called_as_keras_calls_it(weight, host):
    inner = keras.optimizers.SGD(0.1, name="inner")
    scaled = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1.0)
    scaled.build([weight])
    step = descending([weight], scaled, WAYS["by the name of the variables"])
    weight.assign(np.ones(2, "float32"))
    report = replayed(step, [weight, *scaled.variables], host)
    assert report.first is None


def test_no_gradients_at_all_are_as_good_as_to_keras(weight, host):
    sgd = keras.optimizers.SGD(0.1, name="sgd")
    sgd.build([weight])

    def step(x):
        sgd.apply([], [weight])
        return {"loss": keras.ops.sum(x)}

    assert replayed(step, [weight, *sgd.variables], host).first is None


def test_an_optimizer_of_the_users_own_is_called_as_it_is_written(weight, host):
    class Halved(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            halved = [gradient / 2 for gradient in grads]
            super().apply(grads=halved, trainable_variables=trainable_variables)

    halved = Halved(0.1, name="halved")
    halved.build([weight])
    step = descending([weight], halved, WAYS["by place"])
    report = replayed(step, [weight, *halved.variables], host)
    assert report.first.stage is Stage.GRADIENT


def test_a_layer_is_called_by_place_or_by_name(host):
    class Ratio(keras.layers.Layer):
        def call(self, over, under):
            return over / under

    ratio = Ratio(name="ratio")

    def step(x):
        ratio(x, under=x)
        return {"loss": keras.ops.sum(ratio(over=x, under=x * 0))}

    report = replayed(step, [], host)
    assert report.first.name == "ratio (Ratio)"
    assert str(report.first).endswith("from inputs of size 1 at most")
