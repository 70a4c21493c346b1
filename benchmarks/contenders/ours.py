"""ownloop: the plain step of the README, on the backend of this process.

EVERY is how many batches lie between two looks of the user's Python; 0: none.
"""

import os

import keras

import ownloop as ol
from contenders.shared import asked_for, serve

job = asked_for()
every = int(os.environ.get("EVERY", "0")) or None
data = ol.Batches(job.data(), batch_size=job.batch, shuffle=True, seed=1)
network = job.model()
optimizer = keras.optimizers.Adam(1e-4)
loss_fn = job.loss()
accuracy = keras.metrics.SparseCategoricalAccuracy()


def train_step(x, y):  # type: ignore[no-untyped-def]
    with ol.GradientTape() as tape:
        outputs = network(x, training=True)
        loss = loss_fn(y, outputs)
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    if not job.accuracy:
        return {"loss": loss}
    accuracy.update_state(y, outputs)
    return {"loss": loss, "accuracy": accuracy}


loop = ol.Loop(model=network, optimizer=optimizer, observers=[])
epochs = loop.epochs()


def epoch() -> None:
    for chunk in next(epochs).train(train_step, data, every=every):
        float(chunk.last.loss)


serve(epoch)
