"""Adversarial training: learn from the pictures near by that are hardest to read.

Before each step the model's own gradient with respect to the pictures shows how to
change them, within a radius, so that it errs most. `fit` has a gradient for the
weights only.

Madry et al. 2017, https://arxiv.org/abs/1706.06083
"""

import keras
from sklearn.datasets import load_digits

import ownloop as ol

keras.utils.set_random_seed(1)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
train = ol.Batches((images[:1500], labels[:1500]), batch_size=50, shuffle=True, seed=1)
held_out = ol.Batches((images[1500:], labels[1500:]), batch_size=99)

hidden = [keras.layers.Dense(256, "relu") for _ in range(2)]
model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
optimizer = keras.optimizers.Adam(1e-3)
optimizer.build(model.trainable_variables)  # so that its moments are saved below
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
clean = keras.metrics.SparseCategoricalAccuracy()
attacked = keras.metrics.SparseCategoricalAccuracy()
radius = keras.Variable(0.15, trainable=False)
seeds = keras.random.SeedGenerator(1)


def attack(images, labels, start, radius, climbs):
    """Projected gradient ascent: pictures within `radius` on which the model errs."""
    changed = images + radius * start
    for _ in range(climbs):
        with ol.GradientTape() as tape:
            tape.watch(changed)
            loss = loss_fn(labels, model(changed, training=False))
        uphill = keras.ops.sign(tape.gradient(loss, changed))
        changed += 2.5 * radius / climbs * uphill
        changed = keras.ops.clip(changed, images - radius, images + radius)
        changed = keras.ops.clip(changed, 0, 1)
    return changed


def train_step(images, labels, start=None):
    if start is None:
        start = keras.random.uniform(images.shape, -1, 1, seed=seeds)
    hard = attack(images, labels, start, radius, climbs=5)
    with ol.GradientTape() as tape:
        loss = loss_fn(labels, model(hard, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return {"loss": loss}


def val_step(images, labels):
    start = keras.random.uniform(images.shape, -1, 1, seed=seeds)
    # Harder than in training, so that the defence is not a matter of too few climbs.
    hard = attack(images, labels, start, 0.15, climbs=10)
    clean.update_state(labels, model(images, training=False))
    attacked.update_state(labels, model(hard, training=False))
    return {"clean": clean, "attacked": attacked}


loop = ol.Loop(model=model, optimizer=optimizer)


def learn(within, epochs=50):
    """Trains from the same start within a radius; returns the held-out accuracies."""
    loop.load("start")
    radius.assign(within)
    for epoch in loop.epochs(loop.epoch + epochs):
        means = epoch.train(train_step, train).run()
    result = loop.validate(val_step, held_out)
    print(f"Trained within a radius of {within}: {means}; unseen digits: {result}")
    return result


def main():
    loop.save("start")
    plain, robust = learn(0.0), learn(0.15)
    learnt = {f"plain_{name}": value for name, value in plain.items()}
    return learnt | {f"robust_{name}": value for name, value in robust.items()}


if __name__ == "__main__":
    main()
