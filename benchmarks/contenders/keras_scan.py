"""A hand-written JAX epoch over the same Keras model: one jitted lax.scan.

Keras' stateless calls, as its guide to custom loops on JAX writes them. Next to
`jax_loop`, whose networks are plain JAX, it tells what the layers cost from what a loop
costs: ownloop runs the same layers.

https://keras.io/guides/writing_a_custom_training_loop_in_jax/
"""

import jax
import jax.numpy as jnp
import keras

from contenders.shared import asked_for, serve_scans
from contenders.workloads import RATE

job = asked_for()
x, y = map(jnp.asarray, job.data())
model = job.model()
optimizer = keras.optimizers.Adam(RATE)
optimizer.build(model.trainable_variables)
loss_fn = job.loss()


def judge(trainable, other, x, y):  # type: ignore[no-untyped-def]
    outputs, other = model.stateless_call(trainable, other, x, training=True)
    correct = (
        (outputs.argmax(-1) == y).sum() if job.accuracy else jnp.zeros((), "int32")
    )
    return loss_fn(y, outputs), (other, correct)


def step(state, rows):  # type: ignore[no-untyped-def]
    trainable, other, slots = state
    grad = jax.value_and_grad(judge, has_aux=True)
    (loss, (other, correct)), gradients = grad(trainable, other, x[rows], y[rows])
    trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
    return (trainable, other, slots), (loss, correct)


@jax.jit
def run(state, rows):  # type: ignore[no-untyped-def]
    return jax.lax.scan(step, state, rows)


kinds = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
state = tuple([variable.value for variable in kind] for kind in kinds)

serve_scans(job, len(x), run, state)
