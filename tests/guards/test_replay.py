"""A replay names the first value that is not finite, and leaves no trace."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.guards import Stage, replay


def make(*layers):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(3, kernel_initializer="ones", name="first")
    model = keras.Sequential([keras.Input((2,)), dense, *layers], name="model")
    optimizer = keras.optimizers.SGD(0.1, momentum=0.5, name="sgd")
    optimizer.build(model.trainable_variables)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return {"loss": loss}

    return step, (*model.variables, *optimizer.variables)


def state_of(variables, host):
    return [(variable, host(variable)) for variable in variables]


def found(step, batch, variables, host):
    before = [host(variable).tobytes() for variable in variables]
    report = replay(step, batch, state_of(variables, host))
    assert [host(variable).tobytes() for variable in variables] == before
    return report


def test_a_layer_is_named_with_the_size_of_what_it_was_given(host):
    class Log(keras.layers.Layer):
        def call(self, x):
            return keras.ops.log(x)

    step, variables = make(Log(name="log"))
    report = found(step, np.array([[1.0, -4.0]], "float32"), variables, host)
    assert report.first.stage is Stage.OUTPUT
    assert str(report.first) == (
        "the output of model/log (Log) has 3 nan among 3 values, "
        "from inputs of size 3 at most"
    )
    # The model is a layer too; the gradient of log(-3) is finite.
    stages = [finding.stage for finding in report.findings]
    assert stages == [Stage.OUTPUT, Stage.OUTPUT, Stage.LOGGED]


def test_the_batch_comes_before_all_others(host):
    step, variables = make()
    report = found(step, np.array([[1.0, np.nan]], "float32"), variables, host)
    assert str(report.first) == "the batch has 1 nan among 2 values"


def test_a_gradient_is_named_where_the_loss_is_finite(host):
    weight = keras.Variable(np.zeros(2, "float32"), name="weight")

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.sum(keras.ops.sqrt(weight) * x)
        gradient = tape.gradient(loss, weight)
        weight.assign(weight - 0.1 * gradient)
        return {"loss": loss}

    report = found(step, np.ones(2, "float32"), [weight], host)
    assert [str(finding) for finding in report.findings] == [
        "the gradient for weight has 2 inf among 2 values",
        "the new value of weight has 2 inf among 2 values",
    ]


def test_a_gradient_of_a_function_is_named_too(host):
    weight = keras.Variable(0.0, name="weight")

    def step():
        loss, (gradient,) = ol.value_and_grad(
            lambda: keras.ops.sqrt(weight), [weight]
        )()
        weight.assign(weight - gradient)
        return loss

    report = found(step, None, [weight], host)
    assert str(report.first) == "the gradient for weight is inf"


def test_the_kept_state_is_where_it_starts(host):
    weight = keras.Variable(1.0, name="weight", trainable=False)

    def step(x):
        return {"loss": keras.ops.mean(x / weight)}

    batch = np.ones(2, "float32")
    assert replay(step, batch, [(weight, np.array(1.0, "float32"))]).first is None
    report = replay(step, batch, [(weight, np.array(0.0, "float32"))])
    assert str(report) == "First not finite: the logged 'loss' is inf."
    assert float(weight) == 1.0


def test_where_all_is_finite_rounding_is_named_as_the_suspect(host):
    step, variables = make()
    report = found(step, np.ones((1, 2), "float32"), variables, host)
    assert "Every value is finite when the step is run eagerly" in str(report)


def test_keras_is_as_it_was_afterwards(host):
    before = keras.Layer.__call__, keras.optimizers.Optimizer.apply

    def step(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        replay(step, np.ones(2, "float32"), [])
    assert (keras.Layer.__call__, keras.optimizers.Optimizer.apply) == before


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_a_loop_replays_its_latest_bad_step(host, compile):
    step, variables = make(keras.layers.Dropout(0.5, seed=1))
    x = np.ones((6, 2), "float32")
    x[3] = 3e38
    loop = ol.Loop(observers=(), nonfinite="stop", compile=compile)
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(x, batch_size=1)).run()
    assert loop.step == 3
    before = [host(variable).tobytes() for variable in variables]
    report = loop.replay(step)
    assert report.first.name == "model/first (Dense)"
    assert "from inputs of size 3e+38 at most" in str(report)
    assert [host(variable).tobytes() for variable in variables] == before


def test_without_a_bad_step_there_is_nothing_to_replay():
    with pytest.raises(
        ol.errors.LoopError, match=r"no step to replay.*Expected one.*call `ownloop"
    ):
        ol.Loop(observers=()).replay(keras.ops.mean)
