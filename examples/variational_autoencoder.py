"""A variational autoencoder: each digit from a code of eight numbers, with its price.

A pixel of these digits counts the black dots among sixteen, so its law is binomial, and
the loss is a true upper bound on -log p(digit). It is made of what the encoder says,
what the decoder says and noise drawn in between; `fit` compares outputs with targets.

Kingma and Welling 2013, https://arxiv.org/abs/1312.6114
"""

import math

import keras
import numpy as np
from sklearn.datasets import load_digits

import ownloop as ol

keras.utils.set_random_seed(1)

dots = load_digits().data.astype("int32")
train = ol.Batches(dots[:1500], batch_size=50, shuffle=True, seed=1)
held_out = ol.Batches(dots[1500:], batch_size=99)
log_choose = np.log([math.comb(16, k) for k in range(17)]).astype("float32")


def network(inputs, outputs):
    hidden = [keras.layers.Dense(128, "gelu") for _ in range(2)]
    last = keras.layers.Dense(outputs)
    return keras.Sequential([keras.Input((inputs,)), *hidden, last])


encoder, decoder = network(64, 2 * 8), network(8, 64)
optimizer = keras.optimizers.Adam(1e-3)
seeds = keras.random.SeedGenerator(1)


def price(dots, noise=None):
    """What the pixels and the code of a digit cost, in nats; means of the batch."""
    if noise is None:
        noise = keras.random.normal((dots.shape[0], 8), seed=seeds)
    shares = keras.ops.cast(dots, "float32") / 16
    mean, log_variance = keras.ops.split(encoder(shares), 2, axis=1)
    code = mean + keras.ops.exp(log_variance / 2) * noise
    pixels = 16 * keras.ops.binary_crossentropy(shares, decoder(code), from_logits=True)
    pixels -= keras.ops.take(log_choose, dots)
    # How far the code's normal distribution is from the standard one.
    codes = (mean**2 + keras.ops.exp(log_variance) - log_variance - 1) / 2
    return [keras.ops.mean(keras.ops.sum(cost, axis=1)) for cost in (pixels, codes)]


def train_step(dots, noise=None):
    variables = encoder.trainable_variables + decoder.trainable_variables
    with ol.GradientTape() as tape:
        pixels, code = price(dots, noise)
        loss = pixels + code
    optimizer.apply(tape.gradient(loss, variables), variables)
    return {"loss": loss, "pixels": pixels, "code": code}


def val_step(dots):
    return {"loss": sum(price(dots))}


loop = ol.Loop(encoder=encoder, decoder=decoder, optimizer=optimizer)


def binomial_price(shares):
    """What an unseen digit costs if the dots of its pixels have these chances."""
    p, seen = shares.clip(0.01, 0.99), dots[1500:]
    nats = seen * np.log(p) + (16 - seen) * np.log(1 - p) + log_choose[seen]
    return float(-nats.sum(axis=1).mean())


def main():
    for epoch in loop.epochs(4):
        print(epoch, epoch.train(train_step, train, steps=600).run())
    seen, unseen, mean = dots[:1500] / 16, dots[1500:] / 16, dots[:1500].mean(0) / 16
    axes = np.linalg.svd(seen - mean, full_matrices=False)[2][:8]
    learnt = {
        "autoencoder": loop.validate(val_step, held_out).loss,
        # Eight numbers too, but linear; and they are had for nothing.
        "principal_components": binomial_price(mean + (unseen - mean) @ axes.T @ axes),
        "mean_digit": binomial_price(mean),
    }
    print("Nats for an unseen digit:", learnt)
    return learnt


if __name__ == "__main__":
    main()
