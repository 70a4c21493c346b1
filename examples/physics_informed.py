"""A physics-informed network: a neural network as the solution of Burgers' equation.

The loss is how far the network u(x, t) is from u_t + u u_x = v u_xx, from its start, a
sine that steepens, and from zero at both ends; it sees no solution. `fit` has no
derivatives with respect to inputs, let alone second ones inside a loss. The exact
solution, an integral, is only there to be compared with.

Raissi, Perdikaris, Karniadakis, 2017, https://arxiv.org/abs/1711.10561
"""

import keras
import numpy as np
from keras import ops

import ownloop as ol

VISCOSITY = 0.1 / np.pi


def exact(x, t):
    """The solution by Cole and Hopf: an integral, here from 100 values."""
    points, weights = np.polynomial.hermite.hermgauss(100)
    y = x[:, None] - np.sqrt(4 * VISCOSITY * t[:, None]) * points
    weights = weights * np.exp(-np.cos(np.pi * y) / (2 * np.pi * VISCOSITY))
    return -np.sum(weights * np.sin(np.pi * y), 1) / np.sum(weights, 1)


random = np.random.default_rng(1)
inside = random.uniform([-1, 0], [1, 1], (10_000, 2))
train = ol.Batches(inside, batch_size=250, shuffle=True, seed=1)

# Where the solution is given: at t = 0, and at x = -1 and x = 1.
along = np.linspace(0, 1, 100)
start = np.stack([2 * along - 1, 0 * along], axis=1)
left, right = (np.stack([0 * along + end, along], axis=1) for end in (-1, 1))
given = np.concatenate([start, left, right]).astype("float32")
given_u = np.where(given[:, 1:] == 0, -np.sin(np.pi * given[:, :1]), 0)

keras.utils.set_random_seed(1)
tanh = [keras.layers.Dense(32, activation="tanh") for _ in range(3)]
model = keras.Sequential([keras.layers.Input((2,)), *tanh, keras.layers.Dense(1)])
rate = keras.optimizers.schedules.CosineDecay(5e-3, decay_steps=4000)
optimizer = keras.optimizers.Adam(rate)
squared_error = keras.losses.MeanSquaredError()


def residual(x, t):
    """How far the network is from obeying the equation, at each point."""
    with ol.GradientTape() as second:
        second.watch(x)
        with ol.GradientTape() as first:
            first.watch([x, t])
            u = model(ops.concatenate([x, t], axis=1), training=True)
        u_x, u_t = first.gradient(u, [x, t])
    u_xx = second.gradient(u_x, x)
    return u_t + u * u_x - VISCOSITY * u_xx


def train_step(points):
    x, t = ops.split(points, 2, axis=1)
    with ol.GradientTape() as tape:
        equation = ops.mean(residual(x, t) ** 2)
        border = squared_error(given_u, model(given, training=True))
        loss = equation + border
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply(gradients, model.trainable_variables)
    return {"loss": loss, "equation": equation, "border": border}


loop = ol.Loop(model=model, optimizer=optimizer)


def relative_error():
    """The distance to the exact solution on a grid, over the size of the solution."""
    x, t = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(0, 1, 51))
    x, t = x.ravel(), t.ravel()
    u = ops.convert_to_numpy(model(np.stack([x, t], axis=1)))[:, 0]
    return float(np.linalg.norm(u - exact(x, t)) / np.linalg.norm(exact(x, t)))


def main():
    print(f"untrained: relative error {relative_error():.3f}")
    for epoch in loop.epochs(4):
        seen = epoch.train(train_step, train, steps=1000).run()
        print(f"step {loop.step}: loss {seen.loss:.1e}, error {relative_error():.4f}")
    return {"error": relative_error(), "loss": seen.loss}


if __name__ == "__main__":
    main()
