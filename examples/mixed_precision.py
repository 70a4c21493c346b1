"""Mixed precision: 16-bit arithmetic, 32-bit weights, and a loss scale that adapts.

float16 is coarse below 6e-5 and zero below 3e-8, and many gradients are that small. So
the loss is multiplied by a large scale before they are taken, and they are divided by
it afterwards. Where they overflow, the step is skipped and the scale halved; after 100
good steps it is doubled. Keras' `LossScaleOptimizer` hides this; here it is in sight.

Micikevicius et al., 2017, https://arxiv.org/abs/1710.03740
"""

import keras
from keras import ops
from sklearn.datasets import load_digits

import ownloop as ol

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
train = ol.Batches((x[:1440], y[:1440]), batch_size=32, shuffle=True, seed=1)

keras.utils.set_random_seed(1)
half = keras.DTypePolicy("mixed_float16")
model = keras.Sequential(
    [
        keras.layers.Input((64,)),
        keras.layers.Dense(256, activation="relu", dtype=half),
        keras.layers.Dense(256, activation="relu", dtype=half),
        keras.layers.Dense(10, dtype=half),
    ]
)
optimizer = keras.optimizers.Adam(1e-3)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

scale = keras.Variable(2.0**24, trainable=False, name="scale")
good = keras.Variable(0, trainable=False, dtype="int32", name="good")


def train_step(x, y):
    with ol.GradientTape() as tape:
        logits = ops.cast(model(x, training=True), "float32")  # exponentials overflow
        loss = loss_fn(y, logits)
        scaled_loss = loss * scale
    scaled = tape.gradient(scaled_loss, model.trainable_variables)
    # The weights have 32 bits, and so have their gradients, which may now be divided.
    gradients = [gradient / scale for gradient in scaled]
    finite = ops.all(ops.stack([ops.all(ops.isfinite(g)) for g in gradients]))

    def update():
        optimizer.apply(gradients, model.trainable_variables)
        good.assign_add(1)
        scale.assign(scale * ops.where(good % 100 == 0, 2.0, 1.0))

    def skip():
        good.assign(0)
        scale.assign(scale / 2)

    ol.cond(finite, update, skip)
    skipped = 1 - ops.cast(finite, "float32")
    return {"loss": loss, "skipped": skipped, "scale": scale, "small": small(gradients)}


def small(gradients):
    """The share of gradients, zeros apart, that float16 holds coarsely at best."""
    sizes = ops.concatenate([ops.abs(ops.ravel(g)) for g in gradients])
    some = ops.cast(sizes > 0, "float32")
    return ops.sum(some * ops.cast(sizes < 2.0**-14, "float32")) / ops.sum(some)


loop = ol.Loop(model=model, optimizer=optimizer, scale=scale, good=good)


def main():
    for epoch in loop.epochs(10):
        seen = epoch.train(train_step, train).run()
        print(
            f"epoch {epoch.number}: loss {seen.loss:.3f}, scale {seen.scale:,.0f}, "
            f"needed by {seen.small:.0%} of the gradients"
        )
    skipped = int(loop.history.steps["train_skipped"].sum())
    updates = int(optimizer.iterations)
    logits = model(x[1440:], training=False)
    right = keras.metrics.sparse_categorical_accuracy(y[1440:], logits)
    accuracy = float(ops.mean(ops.cast(right, "float32")))
    print(f"{loop.step} steps, {skipped} of them skipped, {updates} updates")
    print(f"accuracy on new digits {accuracy:.3f}")
    return {"accuracy": accuracy, "skipped": skipped, "updates": updates}


if __name__ == "__main__":
    main()
