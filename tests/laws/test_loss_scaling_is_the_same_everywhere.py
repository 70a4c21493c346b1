"""`LossScaleOptimizer` halves, doubles and skips the same steps on each backend.

Keras assigns its counters in the branches of `keras.ops.cond`. The reference is written
out in NumPy: no backend is asked what another one should give.
"""

import keras
import numpy as np
import pytest

import ownloop as ol

STEPS, RATE, GROWTH, FIRST_SCALE = 12, 0.05, 3, 2.0**127


def examples() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(1, 2, size=(STEPS * 4, 1)).astype("float32")
    return x, (3.0 * x + 1.0).astype("float32")


def written_out() -> dict[str, list[float]]:
    """Returns what each step gives; gradients beyond float32 are an overflow."""
    x, y = (array.reshape(STEPS, 4).astype("float64") for array in examples())
    weight, bias, scale, good = 0.0, 0.0, FIRST_SCALE, 0
    seen: dict[str, list[float]] = {"loss": [], "weight": [], "scale": [], "good": []}
    for xs, ys in zip(x, y, strict=True):
        errors = weight * xs + bias - ys
        gradients = 2.0 * np.array([np.mean(errors * xs), np.mean(errors)])
        with np.errstate(over="ignore"):
            finite = np.isfinite((gradients * scale).astype("float32")).all()
        if finite:
            weight, bias = weight - RATE * gradients[0], bias - RATE * gradients[1]
            scale, good = (scale * 2, 0) if good == GROWTH - 1 else (scale, good + 1)
        else:
            scale, good = scale / 2, 0
        seen["loss"].append(float(np.mean(errors**2)))
        seen["weight"].append(weight)
        seen["scale"].append(scale)
        seen["good"].append(good)
    return seen


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_twelve_steps_are_those_that_are_written_out(compile: bool) -> None:
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")]
    )
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(RATE),
        initial_scale=FIRST_SCALE,
        dynamic_growth_steps=GROWTH,
    )

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x, training=True) - y) ** 2)
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return {
            "loss": loss,
            "weight": model.trainable_variables[0][0, 0],
            "scale": optimizer.dynamic_scale,
            "good": optimizer.step_counter,
        }

    loop = ol.Loop(model=model, optimizer=optimizer, compile=compile, observers=[])
    for epoch in loop.epochs(1):
        epoch.train(step, ol.Batches(examples(), batch_size=4), every=5).run()

    expected = written_out()
    changes = np.diff(np.log2([FIRST_SCALE, *expected["scale"]]))
    assert changes[0] < 0 < changes.max()  # It overflows, recovers, and grows again.
    for name, values in expected.items():
        found = loop.history.steps[f"train_{name}"]
        np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-6, err_msg=name)
    assert int(optimizer.iterations) == sum(changes >= 0)
