"""Variables that a step creates have their first values where that step is undone."""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("every", [1, None])
def test_variables_that_a_bad_step_creates_have_their_first_values(
    bits, compile, every
):
    """The first step builds model and optimizer, and is bad."""
    states = []
    for is_bad in (True, False):
        initializer = keras.initializers.RandomUniform(-1, 1, seed=1)
        model = keras.Sequential(
            [keras.layers.Dense(2, kernel_initializer=initializer)]
        )
        optimizer = keras.optimizers.Adam(1e-2)

        def step(x, model=model, optimizer=optimizer):
            with ol.GradientTape() as tape:
                loss = keras.ops.mean(model(x) ** 2)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return {"loss": loss}

        x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
        if is_bad:
            x[1, 2] = np.nan
        data = ol.Batches(x if is_bad else x[4:], batch_size=4)
        loop = ol.Loop(nonfinite="skip", compile=compile, observers=())
        for epoch in loop.epochs(1):
            epoch.train(step, data, every=every).run()
        states.append(bits((*model.variables, *optimizer.variables)))
    assert len(states[0]) > 5
    assert states[0] == states[1]


def test_an_error_in_the_very_first_step_leaves_first_values(bits):
    """Nothing is compiled, so the step has made its variables when it goes wrong."""
    made = []

    def step(x):
        if not made:
            made.append(keras.Variable([2.0, 3.0], trainable=False, name="late"))
        made[0].assign(made[0] * x[0])
        return {"loss": keras.ops.sum(made[0])}

    def train():
        for epoch in ol.Loop(compile=False, observers=()).epochs(1):
            epoch.train(step, [np.array([np.inf], "float32")]).run()

    with pytest.raises(ol.errors.NonFiniteError, match="loss is inf; late has 2 inf"):
        train()
    assert bits(made) == [np.array([2.0, 3.0], "float32").tobytes()]
