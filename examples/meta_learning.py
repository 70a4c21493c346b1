"""MAML: weights from which one gradient step on ten points learns a new task.

Each task is a sine wave of its own height and phase. The loss is taken after one step
of learning, and its gradient goes through that step, so it contains second derivatives.
`fit` knows one gradient per batch, and none through another.

Finn, Abbeel, Levine, 2017, https://arxiv.org/abs/1703.03400
"""

import keras
import numpy as np
from keras import ops

import ownloop as ol


def draw_waves(count, seed):
    """Returns 20 points of each of `count` waves: x and y of shape (count, 20, 1)."""
    random = np.random.default_rng(seed)
    height = random.uniform(0.1, 5.0, (count, 1, 1))
    phase = random.uniform(0.0, np.pi, (count, 1, 1))
    x = random.uniform(-5.0, 5.0, (count, 20, 1))
    return x, height * np.sin(x - phase)


train = ol.Batches(draw_waves(8_000, seed=1), batch_size=4)
test = ol.Batches(draw_waves(400, seed=2), batch_size=4)

keras.utils.set_random_seed(1)
relu = [keras.layers.Dense(40, activation="relu") for _ in range(2)]
model = keras.Sequential([keras.layers.Input((1,)), *relu, keras.layers.Dense(1)])
optimizer = keras.optimizers.Adam(4e-3)


def error(weights, x, y):
    """The model's mean squared error, as a function of its weights."""
    prediction, _ = model.stateless_call(weights, [], x)
    return ops.mean((prediction - y) ** 2)


def learn(weights, x, y):
    """Returns the weights after one step of gradient descent; changes no variable."""
    with ol.GradientTape() as tape:
        tape.watch(weights)
        loss = error(weights, x, y)
    gradients = tape.gradient(loss, weights)
    return [w - 0.01 * g for w, g in zip(weights, gradients, strict=True)]


def errors(x, y):
    """The mean errors on ten points per wave, before and after learning from ten."""
    weights = [variable.value for variable in model.trainable_variables]
    before, after = [], []
    for wave in zip(ops.unstack(x), ops.unstack(y), strict=True):
        some, others = [c[:10] for c in wave], [c[10:] for c in wave]
        before.append(error(weights, *others))
        after.append(error(learn(weights, *some), *others))
    return {"before": sum(before) / len(before), "after": sum(after) / len(after)}


def train_step(x, y):
    with ol.GradientTape() as tape:
        seen = errors(x, y)
    # Only what comes after learning counts; through it, the gradient sees the learning.
    gradients = tape.gradient(seen["after"], model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return seen


loop = ol.Loop(model=model, optimizer=optimizer)


def main():
    for epoch in loop.epochs(1):
        for chunk in epoch.train(train_step, train, every=500):
            after = chunk.steps["after"].mean()
            print(f"step {chunk.step}: error {after:.2f} after one step of learning")
    seen = loop.validate(errors, test)
    print(f"new waves: error {seen.before:.2f} before learning, {seen.after:.2f} after")
    return {"before": seen.before, "after": seen.after}


if __name__ == "__main__":
    main()
