"""A conditional GAN: one network draws the digit asked for, one tells drawn from real.

Two networks with an optimizer each play against each other, and the loss of either is
made by the other. `fit` descends one loss with one optimizer.

Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661
Mirza and Osindero 2014, https://arxiv.org/abs/1411.1784
"""

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import ownloop as ol

keras.utils.set_random_seed(1)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
train = ol.Batches((images[:1500], labels[:1500]), batch_size=50, shuffle=True, seed=1)


def network(inputs, outputs, activation=None):
    """A network that takes some numbers and a label."""
    ends = keras.Input((inputs,)), keras.Input((10,))
    hidden = keras.layers.Concatenate()(ends)
    for _ in range(2):
        hidden = keras.layers.LeakyReLU(0.2)(keras.layers.Dense(128)(hidden))
    return keras.Model(ends, keras.layers.Dense(outputs, activation)(hidden))


generator, discriminator = network(16, 64, "sigmoid"), network(64, 1)
g_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
d_optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
entropy = keras.losses.BinaryCrossentropy(from_logits=True)
seeds = keras.random.SeedGenerator(1)


def train_step(real, labels, noise=None):
    labels = keras.ops.one_hot(labels, 10)
    if noise is None:
        noise = keras.random.normal((real.shape[0], 16), seed=seeds)

    # Drawn outside of the tape: only the discriminator learns now.
    drawn = generator((noise, labels), training=True)
    with ol.GradientTape() as tape:
        on_real = discriminator((real, labels), training=True)
        on_drawn = discriminator((drawn, labels), training=True)
        d_loss = entropy(keras.ops.ones_like(on_real), on_real)
        d_loss += entropy(keras.ops.zeros_like(on_drawn), on_drawn)
    gradients = tape.gradient(d_loss, discriminator.trainable_variables)
    d_optimizer.apply(gradients, discriminator.trainable_variables)

    # The generator wants the discriminator, as it is now, to take its work for real.
    with ol.GradientTape() as tape:
        drawn = generator((noise, labels), training=True)
        on_drawn = discriminator((drawn, labels), training=True)
        g_loss = entropy(keras.ops.ones_like(on_drawn), on_drawn)
    gradients = tape.gradient(g_loss, generator.trainable_variables)
    g_optimizer.apply(gradients, generator.trainable_variables)
    return {"d_loss": d_loss, "g_loss": g_loss}


players = {"generator": generator, "discriminator": discriminator}
loop = ol.Loop(**players, g_optimizer=g_optimizer, d_optimizer=d_optimizer)


def main():
    for epoch in loop.epochs(5):
        print(epoch, epoch.train(train_step, train, steps=900).run())
    asked = np.arange(1500) % 10
    noise = np.random.default_rng(1).normal(size=(1500, 16))
    drawn = generator.predict((noise, np.eye(10)[asked]), verbose=0)
    # The reader has seen real digits; the pupil has seen nothing but drawn ones.
    reader = KNeighborsClassifier(1).fit(images[:1500], labels[:1500])
    pupil = KNeighborsClassifier(1).fit(drawn, asked)
    learnt = {
        "drawn_as_asked": reader.score(drawn, asked),
        "read_by_reader": reader.score(images[1500:], labels[1500:]),
        "read_by_pupil": pupil.score(images[1500:], labels[1500:]),
    }
    print("Shares of the digits, drawn or unseen:", learnt)
    return learnt


if __name__ == "__main__":
    main()
