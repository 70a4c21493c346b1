"""REINFORCE with a baseline: a pole on a cart is kept upright by trial and error.

A step plays 32 games side by side and learns from them: pushes that were followed by
more reward than expected become more likely. `fit` needs data, and here the data depend
on what was learnt a step ago. The game is in `keras.ops`, and compiled with the rest.

Williams, 1992, https://doi.org/10.1007/BF00992696; the cart and its pole are those of
Barto, Sutton, Anderson, 1983, https://doi.org/10.1109/TSMC.1983.6313077
"""

import keras
import numpy as np
from keras import ops
from keras.layers import Dense, Input

import ownloop as ol

GAMES, TURNS = 32, 50  # games side by side; who lasts for 50 turns has won

# A turn's return is the sum of all rewards from then on, discounted by 5 % per turn.
ahead = np.arange(TURNS) - np.arange(TURNS)[:, None]
discounts = np.where(ahead >= 0, 0.95 ** np.abs(ahead), 0).astype("float32")

keras.utils.set_random_seed(1)
seeds = keras.random.SeedGenerator(1)
layers = [[Input((4,)), Dense(32, activation="tanh"), Dense(1)] for _ in range(2)]
policy, baseline = map(keras.Sequential, layers)
optimizer = keras.optimizers.Adam(1e-2)
variables = policy.trainable_variables + baseline.trainable_variables
train = None  # no data: a step makes its own


def move(state, right):
    """Returns the state 0.04 s later, after a push to the right (1) or the left (0)."""
    _, speed, angle, spin = ops.split(state, 4, axis=1)
    sine, cosine = ops.sin(angle), ops.cos(angle)
    force = (20 * right - 10 + 0.05 * spin**2 * sine) / 1.1
    spin_up = (9.8 * sine - cosine * force) / (2 / 3 - 0.05 * cosine**2 / 1.1)
    speed_up = force - 0.05 * spin_up * cosine / 1.1
    return state + 0.04 * ops.concatenate([speed, speed_up, spin, spin_up], axis=1)


def play(start, luck):
    """Returns, by turn and game, the state, the push, and 1 while the pole stands."""

    def turn(scene, luck):
        state, standing = scene[:, :4], scene[:, 5:]
        right = ops.cast(luck < ops.sigmoid(policy(state)), "float32")
        after = move(state, right)
        inside = (ops.abs(after[:, :1]) < 2.4) & (ops.abs(after[:, 2:3]) < 0.21)
        still = standing * ops.cast(inside, "float32")
        seen = ops.concatenate([state, right, standing], axis=1)
        return ops.concatenate([after, right, still], axis=1), seen

    scene = ops.concatenate([0.05 * start, ops.ones((GAMES, 2))], axis=1)
    return ops.scan(turn, scene, luck)[1]


def train_step(start=None, luck=None):
    if start is None:
        start = keras.random.uniform((GAMES, 4), -1, 1, seed=seeds)
        luck = keras.random.uniform((GAMES, TURNS), seed=seeds)
    seen = play(start, ops.transpose(luck)[:, :, None])
    returns = ops.reshape(ops.matmul(discounts, seen[:, :, 5]), (-1, 1))
    seen = ops.reshape(seen, (-1, 6))
    state, right, standing = seen[:, :4], seen[:, 4:5], seen[:, 5:]
    with ol.GradientTape() as tape:
        better = returns - baseline(state, training=True)
        logit = policy(state, training=True)
        surprise = ops.softplus(logit) - right * logit  # -log of the push's probability
        losses = surprise * ops.stop_gradient(better) + better**2
        loss = ops.sum(standing * losses) / ops.sum(standing)  # nothing after a fall
    optimizer.apply(tape.gradient(loss, variables), variables)
    return {"loss": loss, "turns": ops.sum(standing) / GAMES}


loop = ol.Loop(policy=policy, baseline=baseline, optimizer=optimizer, seeds=seeds)


def main():
    for epoch in loop.epochs(6):
        seen = epoch.train(train_step, steps=20).run()
        print(f"{loop.step * GAMES} games: the last 640 took {seen.turns:.1f} turns")
    turns = loop.history.steps["train_turns"]
    print(f"by chance {turns[0]:.1f} turns, learnt {turns[-10:].mean():.1f} of {TURNS}")
    return {"before": turns[0], "after": turns[-10:].mean()}


if __name__ == "__main__":
    main()
