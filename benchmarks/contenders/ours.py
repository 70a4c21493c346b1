"""ownloop: the plain step of the README, on the backend of this process."""

import keras

import ownloop as ol
from contenders.shared import BATCH, RATE, digits, model, serve

data = ol.Batches(digits(), batch_size=BATCH, shuffle=True, seed=1)
network = model()
optimizer = keras.optimizers.Adam(RATE)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = keras.metrics.SparseCategoricalAccuracy()


def train_step(x, y):  # type: ignore[no-untyped-def]
    with ol.GradientTape() as tape:
        logits = network(x, training=True)
        loss = loss_fn(y, logits)
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    accuracy.update_state(y, logits)
    return {"loss": loss, "accuracy": accuracy}


loop = ol.Loop(model=network, optimizer=optimizer)
epochs = loop.epochs()


def epoch() -> None:
    next(epochs).train(train_step, data).run()


serve(epoch)
