"""A hand-written TensorFlow loop whose data lies in memory, as tensors.

LOOP says what is one call: "step" (under tf.function with jit_compile=True; it takes
its batch from the data by its rows), "epoch" (all full batches in a loop of such a
program) or "graph" (the same without XLA). The textbook loop next to it reads tf.data.
"""

import os

import keras
import numpy as np
import tensorflow as tf

from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
x, y = map(tf.constant, job.data())
network = job.model()
optimizer = keras.optimizers.Adam(RATE)
optimizer.build(network.trainable_variables)
loss_fn = job.loss()
how = os.environ.get("LOOP", "epoch")


def step(rows):  # type: ignore[no-untyped-def]
    inputs, wanted = tf.gather(x, rows), tf.gather(y, rows)
    with tf.GradientTape() as tape:
        outputs = network(inputs, training=True)
        loss = loss_fn(wanted, outputs)
    weights = network.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    if not job.accuracy:
        return loss, tf.constant(0)
    right = tf.equal(tf.argmax(outputs, -1, wanted.dtype), wanted)
    return loss, tf.reduce_sum(tf.cast(right, tf.int32))


@tf.function(jit_compile=how != "graph")
def run(batches):  # type: ignore[no-untyped-def]
    losses = tf.zeros(len(batches))
    correct = tf.constant(0)
    for i in tf.range(len(batches)):
        loss, right = step(batches[i])
        losses = tf.tensor_scatter_nd_update(losses, [[i]], [loss])
        correct += right
    return losses, correct


one = tf.function(step, jit_compile=True)
generator = np.random.default_rng(0)
full = len(x) // job.batch * job.batch


def epoch() -> None:
    order = generator.permutation(len(x)).astype("int32")
    if how == "step":
        pairs = [one(order[i : i + job.batch]) for i in range(0, len(x), job.batch)]
        tf.stack([loss for loss, _ in pairs]).numpy()
        tf.add_n([right for _, right in pairs]).numpy()
        return
    parts = [order[:full].reshape(-1, job.batch)]
    if full < len(x):
        parts.append(order[None, full:])
    for rows in parts:
        losses, correct = run(tf.constant(rows))
        losses.numpy(), int(correct)


serve(epoch)
