"""Loop 3: gradients of four batches summed by hand, the short last batch included."""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_accumulated_gradients_equal_those_summed_on_paper(compile):
    x = np.arange(22, dtype="float32").reshape(11, 2) / 10
    y = x @ np.array([1.0, -2.0], "float32")
    weights = keras.Variable(np.zeros(2, "float32"))
    optimizer = keras.optimizers.SGD(0.1)
    variables = [weights]
    sums = [keras.Variable(np.zeros(2, "float32"), trainable=False)]
    count = keras.Variable(0, dtype="int32", trainable=False)

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((keras.ops.matmul(x, weights) - y) ** 2)
        grads = tape.gradient(loss, variables)
        for total, grad in zip(sums, grads, strict=True):
            total.assign_add(grad / 4)
        count.assign_add(1)

        def update():
            # Keras' own optimizers take values: a variable is no gradient to them.
            values = [total.value for total in sums]
            optimizer.apply_gradients(zip(values, variables, strict=True))
            for total in sums:
                total.assign(keras.ops.zeros(total.shape))

        ol.cond(count % 4 == 0, update)
        return loss

    loop = ol.Loop(
        weights=weights,
        optimizer=optimizer,
        sums=sums[0],
        count=count,
        compile=compile,
        observers=[],
    )
    for epoch in loop.epochs(3):
        epoch.train(step, ol.Batches((x, y), batch_size=2)).run()

    # 3 epochs of 6 batches: 18 gradients, of which 16 have been applied.
    expected, held, losses = np.zeros(2), np.zeros(2), []
    for number in range(1, 19):
        rows = slice(2 * ((number - 1) % 6), 2 * ((number - 1) % 6) + 2)
        error = x[rows] @ expected - y[rows]
        losses.append((error**2).mean())
        held += 2 * (error @ x[rows]) / len(error) / 4
        if number % 4 == 0:
            expected, held = expected - 0.1 * held, np.zeros(2)
    to_numpy = keras.ops.convert_to_numpy
    np.testing.assert_allclose(to_numpy(weights.value).tolist(), expected, rtol=1e-4)
    np.testing.assert_allclose(to_numpy(sums[0].value), held, rtol=1e-4)
    np.testing.assert_allclose(
        loop.history.steps["train_loss"], losses, rtol=1e-3, atol=1e-5
    )
    assert int(optimizer.iterations) == 4
    assert int(count) == 18
