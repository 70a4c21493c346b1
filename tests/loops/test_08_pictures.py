"""Loop 8: pictures now and then, and a metric whose result is an array."""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
def test_large_values_are_shown_at_looks_and_arrays_kept_for_each_pass(digits):
    x, y = digits[0][:90], digits[1][:90] % 3
    model = keras.Sequential(
        [keras.layers.Input((49,)), keras.layers.Dense(3, activation="softmax")]
    )
    f1_per_class = keras.metrics.F1Score(average=None)
    flip = keras.Variable(1.0, trainable=False)

    def step(x, y):
        augmented = x * flip
        flip.assign(-flip)
        probabilities = model(augmented)
        targets = keras.ops.one_hot(y, 3)
        f1_per_class.update_state(targets, probabilities)
        loss = keras.ops.mean(
            keras.losses.categorical_crossentropy(targets, probabilities)
        )
        pictures = keras.ops.reshape(augmented[:4], (4, 7, 7))
        return {"loss": loss, "f1": f1_per_class, "images": ol.last(pictures)}

    shown = []
    loop = ol.Loop(model=model, observers=[])
    for epoch in loop.epochs(2):
        for chunk in epoch.train(step, ol.Batches((x, y), batch_size=10), every=(2, 5)):
            shown.append((chunk.batch, chunk.last["images"], chunk.mean.f1))

    assert [batch for batch, _, _ in shown] == [2, 4, 5, 6, 8, 9] * 2
    for batch, images, f1 in shown[:6]:
        sign = 1 if batch % 2 else -1
        expected = sign * x[10 * (batch - 1) :][:4].reshape(4, 7, 7)
        np.testing.assert_array_equal(images, expected)
        assert f1.shape == (3,)
    # Neither is kept for every step; the array once per pass; the pictures nowhere.
    assert list(loop.history.steps) == ["train_loss"]
    assert set(chunk.steps) == {"loss"}
    assert loop.history["train_f1"].shape == (2, 3)
    np.testing.assert_allclose(loop.history["train_f1"][1], shown[-1][2], rtol=1e-6)
    assert not any("images" in name for name in loop.history.names)
    assert loop.compilations == {"step": 1}
