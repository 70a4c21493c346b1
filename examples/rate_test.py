"""A learning-rate range test: one short run that says which learning rate to take.

The rate grows with every step, from far too small to far too large, and each step's
loss is drawn over it. A good rate lies somewhat below the one with the lowest loss.
`fit` reports running means, which blur it. Runs with more, less and just that rate show
what the test is worth.

Smith, 2015, Cyclical learning rates, https://arxiv.org/abs/1506.01186
"""

import keras
import numpy as np
from keras import ops
from matplotlib import pyplot
from sklearn.datasets import load_digits

import ownloop as ol

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
train = ol.Batches((x[:1440], y[:1440]), batch_size=32, shuffle=True, seed=1)

keras.utils.set_random_seed(1)
relu = [keras.layers.Dense(128, activation="relu") for _ in range(3)]
model = keras.Sequential([keras.layers.Input((64,)), *relu, keras.layers.Dense(10)])
optimizer = keras.optimizers.SGD(1e-5, momentum=0.9)
optimizer.build(model.trainable_variables)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def learn_step(x, y):
    with ol.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return {"loss": loss, "rate": optimizer.learning_rate}


def train_step(x, y):
    """Learns, and raises the rate by a factor: a million in 300 steps."""
    seen = learn_step(x, y)
    optimizer.learning_rate.assign(optimizer.learning_rate * 10 ** (6 / 300))
    return seen


loop = ol.Loop(model=model, optimizer=optimizer)


def draw(rates, losses, smooth, best):
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(rates, losses, color="0.8", label="each step")
    axes.plot(rates[7:-7], smooth, label="mean of 15 steps")
    axes.axvline(best, color="0.4", linestyle=":", label="a good rate")
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend(frameon=False)
    figure.savefig("rate_test.png", dpi=150)


def accuracy_at(rate, name):
    """Trains for 5 epochs from the start; returns the accuracy on digits not seen."""
    loop.load("start")
    optimizer.learning_rate = rate
    for epoch in loop.epochs(loop.epoch + 5):
        epoch.train(learn_step, train, name=name).run()
    right = keras.metrics.sparse_categorical_accuracy(y[1440:], model(x[1440:]))
    accuracy = float(ops.mean(right))
    print(f"trained with rate {rate:.1e}: accuracy on new digits {accuracy:.3f}")
    return accuracy


def main():
    loop.save("start")
    steps = loop.history.steps
    for epoch in loop.epochs(1):
        for chunk in epoch.train(train_step, train, steps=300, every=10, name="test"):
            if chunk.steps["loss"].mean() > 1.2 * steps["test_loss"][0]:
                break
    rates, losses = steps["test_rate"], steps["test_loss"]
    smooth = np.convolve(losses, np.ones(15) / 15, mode="valid")
    best = float(rates[7:-7][smooth.argmin()] / 3)
    draw(rates, losses, smooth, best)
    print(f"{len(rates)} steps, a good rate is {best:.1e}; the picture: rate_test.png")
    tried = {"small": best / 30, "best": best, "large": best * 30}
    return {name: accuracy_at(rate, name) for name, rate in tried.items()}


if __name__ == "__main__":
    main()
