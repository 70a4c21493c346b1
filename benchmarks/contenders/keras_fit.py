"""Keras' own fit, on the backend of this process."""

import keras

from contenders.shared import BATCH, RATE, digits, model, serve

x, y = digits()
network = model()
network.compile(
    optimizer=keras.optimizers.Adam(RATE),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)


def epoch() -> None:
    network.fit(x, y, batch_size=BATCH, shuffle=True, verbose=0)


serve(epoch)
