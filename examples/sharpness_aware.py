"""Sharpness-aware minimization: descend by the gradient of the worst place near by.

Each step takes two gradients: one to climb to where the loss near the weights is
highest, and one there, by which the weights are moved. `fit` takes one. Flat minima
do not learn wrong labels by heart, and here two labels in five are wrong.

Foret et al. 2020, https://arxiv.org/abs/2010.01412
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import ownloop as ol

keras.utils.set_random_seed(1)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
random = np.random.default_rng(1)
wrong = (labels[:1500] + random.integers(1, 10, 1500)) % 10
told = np.where(random.random(1500) < 0.4, wrong, labels[:1500])
train = ol.Batches((images[:1500], told), batch_size=50, shuffle=True, seed=1)
held_out = ol.Batches((images[1500:], labels[1500:]), batch_size=99)

hidden = [keras.layers.Dense(256, "relu") for _ in range(2)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
optimizer.build(model.trainable_variables)  # so that its momentum is saved below
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = keras.metrics.SparseCategoricalAccuracy()
radius = keras.Variable(0.5, trainable=False)


def loss_and_gradients(images, labels):
    with ol.GradientTape() as tape:
        loss = loss_fn(labels, model(images, training=True))
    return loss, tape.gradient(loss, model.trainable_variables)


def train_step(images, labels):
    weights = model.trainable_variables
    loss, gradients = loss_and_gradients(images, labels)
    norm = keras.ops.sqrt(sum(keras.ops.sum(g**2) for g in gradients))
    climb = [radius / (norm + 1e-12) * g for g in gradients]
    for weight, step in zip(weights, climb, strict=True):
        weight.assign_add(step)
    worst, gradients = loss_and_gradients(images, labels)
    # Back to where the climb began, and from there down by the gradient of its end.
    for weight, step in zip(weights, climb, strict=True):
        weight.assign_sub(step)
    optimizer.apply(gradients, weights)
    return {"loss": loss, "sharpness": worst - loss}


def val_step(images, labels):
    accuracy.update_state(labels, model(images, training=False))
    return {"accuracy": accuracy}


loop = ol.Loop(model=model, optimizer=optimizer)


def learn(within, epochs=50):
    """Trains from the same start within a radius; returns the held-out accuracy."""
    loop.load("start")
    radius.assign(within)
    for epoch in loop.epochs(loop.epoch + epochs):
        means = epoch.train(train_step, train).run()
    print(f"radius {within}: {means}")
    return loop.validate(val_step, held_out).accuracy


def main():
    loop.save("start")
    learnt = {"plain": learn(0.0), "sharpness_aware": learn(0.5)}
    print("Accuracy on unseen digits, after two in five labels were wrong:", learnt)
    return learnt


if __name__ == "__main__":
    main()
