"""The textbook loop on TensorFlow: eager, tf.GradientTape, tf.data."""

import keras
import tensorflow as tf

from contenders.shared import BATCH, RATE, digits, model, serve

data = tf.data.Dataset.from_tensor_slices(digits()).shuffle(50_000).batch(BATCH)
network = model()
optimizer = keras.optimizers.Adam(RATE)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
accuracy = keras.metrics.SparseCategoricalAccuracy()


def train_step(x, y):  # type: ignore[no-untyped-def]
    with tf.GradientTape() as tape:
        logits = network(x, training=True)
        loss = loss_fn(y, logits)
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    accuracy.update_state(y, logits)
    return loss


def epoch() -> None:
    for x, y in data:
        loss = train_step(x, y)
    float(loss)
    float(accuracy.result())
    accuracy.reset_state()


if __name__ == "__main__":
    serve(epoch)
