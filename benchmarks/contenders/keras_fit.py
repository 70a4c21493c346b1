"""Keras' own fit, on the backend of this process.

STEPS_PER_EXECUTION is what Keras calls so: batches between two returns to Python.
"""

import os

import keras

from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
x, y = job.data()
network = job.model()
network.compile(
    optimizer=keras.optimizers.Adam(RATE),
    loss=job.loss(),
    metrics=["accuracy"] if job.accuracy else [],
    steps_per_execution=int(os.environ.get("STEPS_PER_EXECUTION", "1")),
)


def epoch() -> None:
    network.fit(x, y, batch_size=job.batch, shuffle=True, verbose=0)


serve(epoch)
