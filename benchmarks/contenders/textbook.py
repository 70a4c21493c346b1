"""The textbook loop on TensorFlow: tf.GradientTape and tf.data.

TEXTBOOK says how its step runs: "eager", "function" (under tf.function) or "jit"
(under tf.function with jit_compile=True). With LOOK=1 each loss is read after its step.
"""

import os

import keras
import tensorflow as tf

from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
arrays = job.data()
data = tf.data.Dataset.from_tensor_slices(arrays).shuffle(len(arrays[0]))
data = data.batch(job.batch).prefetch(tf.data.AUTOTUNE)
network = job.model()
optimizer = keras.optimizers.Adam(RATE)
loss_fn = job.loss()
accuracy = keras.metrics.SparseCategoricalAccuracy()


def train_step(x, y):  # type: ignore[no-untyped-def]
    with tf.GradientTape() as tape:
        outputs = network(x, training=True)
        loss = loss_fn(y, outputs)
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    if job.accuracy:
        accuracy.update_state(y, outputs)
    return loss


how = os.environ.get("TEXTBOOK", "eager")
if how != "eager":
    optimizer.build(network.trainable_variables)
    train_step = tf.function(train_step, jit_compile=how == "jit")


looks = bool(os.environ.get("LOOK"))


def epoch() -> None:
    losses = []
    for x, y in data:
        losses.append(train_step(x, y))
        if looks:
            float(losses[-1])
    tf.stack(losses).numpy()
    if job.accuracy:
        float(accuracy.result())
        accuracy.reset_state()


serve(epoch)
