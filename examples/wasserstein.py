"""A Wasserstein GAN with gradient penalty: the critic must have slopes of 1.

The critic's loss contains the critic's own gradient, so that training differentiates a
gradient; and the generator moves in every fifth step only. `fit` has room for neither.

Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import ownloop as ol

keras.utils.set_random_seed(1)

seen, unseen = np.split((load_digits().data / 16).astype("float32"), [1500])
train = ol.Batches(seen, batch_size=50, shuffle=True, seed=1)


def network(inputs, outputs, activation=None):
    hidden = [keras.layers.Dense(128, "gelu") for _ in range(2)]
    last = keras.layers.Dense(outputs, activation)
    return keras.Sequential([keras.Input((inputs,)), *hidden, last])


generator, critic = network(16, 64, "sigmoid"), network(64, 1)
g_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)
c_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)
seeds = keras.random.SeedGenerator(1)


def slope_penalty(real, drawn, mix):
    """How far the critic's slope is from 1, for each example, between the two."""
    between = real + mix * (drawn - real)
    with ol.GradientTape() as tape:
        tape.watch(between)
        scores = critic(between, training=True)
    slopes = keras.ops.norm(tape.gradient(scores, between), axis=1)
    return keras.ops.mean((slopes - 1) ** 2)


def move_generator(noise):
    with ol.GradientTape() as tape:
        loss = -keras.ops.mean(critic(generator(noise, training=True), training=True))
    gradients = tape.gradient(loss, generator.trainable_variables)
    g_optimizer.apply(gradients, generator.trainable_variables)


def train_step(real, noise=None, mix=None):
    if noise is None:
        noise = keras.random.normal((real.shape[0], 16), seed=seeds)
        mix = keras.random.uniform((real.shape[0], 1), seed=seeds)
    drawn = generator(noise, training=True)
    with ol.GradientTape() as tape:
        on_real, on_drawn = critic(real, training=True), critic(drawn, training=True)
        distance = keras.ops.mean(on_real) - keras.ops.mean(on_drawn)
        penalty = slope_penalty(real, drawn, mix)
        loss = 10 * penalty - distance
    gradients = tape.gradient(loss, critic.trainable_variables)
    c_optimizer.apply(gradients, critic.trainable_variables)
    ol.cond(c_optimizer.iterations % 5 == 0, lambda: move_generator(noise))
    return {"distance": distance, "penalty": penalty}


players = {"generator": generator, "critic": critic}
loop = ol.Loop(**players, g_optimizer=g_optimizer, c_optimizer=c_optimizer)


def frechet(a, b):
    """The Fréchet distance between two sets of pictures, each taken for normal."""
    of_a, of_b = np.cov(a.T), np.cov(b.T)
    shared = np.sqrt(np.linalg.eigvals(of_a @ of_b).real.clip(0)).sum()
    means_apart = np.sum((a.mean(0) - b.mean(0)) ** 2)
    return float(means_apart + np.trace(of_a + of_b) - 2 * shared)


def main():
    noise = np.random.default_rng(1).normal(size=(1500, 16))
    untrained = frechet(generator.predict(noise, verbose=0), unseen)
    for epoch in loop.epochs(5):
        print(epoch, epoch.train(train_step, train, steps=900).run())
    drawn = frechet(generator.predict(noise, verbose=0), unseen)
    learnt = {"untrained": untrained, "drawn": drawn, "real": frechet(seen, unseen)}
    print("Fréchet distance from unseen digits:", learnt)
    return learnt


if __name__ == "__main__":
    main()
