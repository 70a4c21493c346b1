"""Distillation from an average of oneself: fifty labels, and a teacher for the rest.

The teacher's weights are a moving average of the student's. It sees each digit as it
is, the student sees it moved and noisy, and learns to say the same; fifty of the 1500
have a label too. In `fit`, no second model learns behind the first.

Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import ownloop as ol

keras.utils.set_random_seed(1)

digits = load_digits()
images, labels = (digits.images / 16).astype("float32"), digits.target
told = np.where(np.arange(1500) < 50, labels[:1500], -1)
train = ol.Batches((images[:1500], told), batch_size=100, shuffle=True, seed=1)
held_out = ol.Batches((images[1500:], labels[1500:]), batch_size=99)

hidden = [keras.layers.Dense(128, "relu") for _ in range(2)]
layers = [keras.Input((8, 8)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)]
student = keras.Sequential(layers)
teacher = keras.models.clone_model(student)
teacher.set_weights(student.get_weights())
optimizer = keras.optimizers.Adam(1e-3)
optimizer.build(student.trainable_variables)  # so that its moments are saved below
loss_fn = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, ignore_class=-1, reduction="sum"
)
accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
trust = keras.Variable(5.0, trainable=False)
seeds = keras.random.SeedGenerator(1)


def move(images, by):
    """The digits moved down and to the right by a part of a pixel each."""
    source = keras.ops.arange(8.0) - by[..., None]
    away = keras.ops.abs(source[..., None] - keras.ops.arange(8.0))
    shares = keras.ops.relu(1 - away)  # of the two pixels around the source
    return keras.ops.einsum("nij,njk,nlk->nil", shares[:, 0], images, shares[:, 1])


def train_step(images, labels, by=None, noise=None):
    if by is None:
        by = keras.random.uniform((images.shape[0], 2), -1, 1, seed=seeds)
        noise = keras.random.normal(images.shape, seed=seeds)
    advice = keras.ops.softmax(teacher(images, training=False))
    with ol.GradientTape() as tape:
        logits = student(move(images, by) + 0.2 * noise, training=True)
        apart = keras.ops.sum((keras.ops.softmax(logits) - advice) ** 2, axis=1)
        # The sum: a label weighs the same however many there are in the batch.
        loss = 0.3 * loss_fn(labels, logits) + trust * keras.ops.mean(apart)
    weights = student.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    for mean, weight in zip(teacher.weights, student.weights, strict=True):
        mean.assign(0.99 * mean + 0.01 * weight)
    return {"loss": loss}


def val_step(images, labels):
    accuracy.update_state(labels, student(images, training=False))
    return accuracy


loop = ol.Loop(student=student, teacher=teacher, optimizer=optimizer)


def learn(with_trust, epochs=150):
    """Trains from the same start with some trust; returns the held-out accuracy."""
    loop.load("start")
    trust.assign(with_trust)
    for epoch in loop.epochs(loop.epoch + epochs):
        means = epoch.train(train_step, train).run()
    print(f"trust {with_trust}: {means}")
    return loop.validate(val_step, held_out).accuracy


def main():
    loop.save("start")
    learnt = {"alone": learn(0.0), "with_teacher": learn(5.0)}
    print("Accuracy of the student on unseen digits:", learnt)
    return learnt


if __name__ == "__main__":
    main()
