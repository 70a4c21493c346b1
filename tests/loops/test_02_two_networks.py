"""Loop 2: a GAN with two discriminator steps for each generator step, in one step."""

import itertools

import keras
import numpy as np
import pytest

import ownloop as ol


def dense(units: int, width: int) -> keras.Model:
    layers = [keras.layers.Input((width,)), keras.layers.Dense(units)]
    return keras.Sequential(layers)


@pytest.mark.in_turn
def test_two_optimizers_take_turns_in_one_step(digits):
    g, d = dense(49, 4), dense(1, 49)
    go, do = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    noise = keras.random.SeedGenerator(3)

    def update_discriminator(real):
        fake = g(keras.random.normal((8, 4), seed=noise), training=True)
        with ol.GradientTape() as tape:
            on_real, on_fake = d(real, training=True), d(fake, training=True)
            loss = entropy(keras.ops.ones_like(on_real), on_real)
            loss = loss + entropy(keras.ops.zeros_like(on_fake), on_fake)
        do.apply(tape.gradient(loss, d.trainable_variables), d.trainable_variables)
        return loss

    def update_generator():
        with ol.GradientTape() as tape:
            judged = d(g(keras.random.normal((8, 4), seed=noise), training=True))
            loss = entropy(keras.ops.ones_like(judged), judged)
        go.apply(tape.gradient(loss, g.trainable_variables), g.trainable_variables)
        return loss

    def step(real):
        for part in keras.ops.split(real, 2):
            d_loss = update_discriminator(part)
        return {"d_loss": d_loss, "g_loss": update_generator()}

    images = ol.Batches(digits[0][:80], batch_size=2 * 8, drop_remainder=True)
    fixed_noise = np.ones((1, 4), "float32")
    pictures = []
    loop = ol.Loop(
        generator=g, discriminator=d, g_optimizer=go, d_optimizer=do, observers=[]
    )
    for epoch in loop.epochs(2):
        for _ in epoch.train(step, images, every=2):
            # The objects are current between chunks.
            pictures.append(g.predict(fixed_noise, verbose=0))

    assert int(go.iterations) == loop.step == 10
    assert int(do.iterations) == 20
    assert len(pictures) == 6
    assert not any(np.array_equal(a, b) for a, b in itertools.pairwise(pictures))
    assert loop.compilations == {"step": 1}
    assert np.isfinite(loop.history.steps["train_g_loss"]).all()
    # Each step drew other noise, three times.
    assert len(set(loop.history.steps["train_d_loss"].tolist())) == 10
