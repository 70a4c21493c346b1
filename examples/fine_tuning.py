"""Fine-tuning: a network that reads the digits 0 to 4 learns 5 to 9 from five of each.

Its new head knows nothing, and would spoil the base with its first gradients. So the
base is frozen for two epochs, and then learns at a tenth of the rate. `fit` has to be
compiled and called anew for that; here it is two lines in the loop, which compiles the
step again and says so. A network that starts from nothing learns beside it, to compare.

Yosinski et al., 2014, How transferable are features?, https://arxiv.org/abs/1411.1792
"""

import keras
import numpy as np
from keras import ops
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D

import ownloop as ol


def halve(images):
    """Returns images of (28, 28) bytes as (14, 14, 1) numbers from 0 to 1."""
    return images.reshape(-1, 14, 2, 14, 2, 1).mean((2, 4), dtype="float32") / 255


(x, y), (test_x, test_y) = ol.datasets.mnist()
old = np.flatnonzero(y < 5)[:30_000]
few = np.concatenate([np.flatnonzero(y == digit)[:5] for digit in range(5, 10)])
first = ol.Batches((halve(x[old]), y[old]), batch_size=100, shuffle=True, seed=1)
train = ol.Batches((halve(x[few]), y[few] - 5), batch_size=5, shuffle=True, seed=1)
test_x, test_y = halve(test_x[test_y >= 5]), test_y[test_y >= 5] - 5


def make_base():
    near = [Conv2D(16, 3, activation="relu", padding="same"), MaxPooling2D()]
    far = [Conv2D(32, 3, activation="relu"), Flatten(), Dense(64, activation="relu")]
    return keras.Sequential([Input((14, 14, 1)), *near, *far])


keras.utils.set_random_seed(1)
base = make_base()
teacher, model = (keras.Sequential([base, Dense(5)]) for _ in range(2))
fresh = keras.Sequential([make_base(), Dense(5)])
optimizer, fresh_optimizer, teacher_optimizer = map(
    keras.optimizers.Adam, (1e-2, 1e-3, 2e-3)
)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_step(model, optimizer):
    # The optimizer must know all variables before any of them is frozen.
    optimizer.build(model.trainable_variables)

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


train_step = make_step(model, optimizer)
fresh_step = make_step(fresh, fresh_optimizer)
teacher_step = make_step(teacher, teacher_optimizer)
models = {"model": model, "fresh": fresh}
loop = ol.Loop(**models, optimizer=optimizer, fresh_optimizer=fresh_optimizer)


def accuracy(model):
    logits = model(test_x, training=False)
    return float(ops.mean(keras.metrics.sparse_categorical_accuracy(test_y, logits)))


def main():
    for epoch in ol.Loop(model=teacher, optimizer=teacher_optimizer).epochs(1):
        for chunk in epoch.train(teacher_step, first, every=100):
            print(f"digits 0 to 4, step {chunk.step}: loss {chunk.last.loss:.3f}")
    for epoch in loop.epochs(7):
        base.trainable = epoch.number > 2
        optimizer.learning_rate = 1e-3 if base.trainable else 1e-2
        epoch.train(train_step, train, steps=20).run()
        epoch.train(fresh_step, train, steps=20, name="fresh").run()
        tuned, new = accuracy(model), accuracy(fresh)
        print(f"epoch {epoch.number}: accuracy {tuned:.3f}, from nothing {new:.3f}")
    return {"accuracy": tuned, "fresh": new}


if __name__ == "__main__":
    main()
