"""Loop 7: the learning rate is changed after a look, and acts from the next chunk."""

import keras
import numpy as np

import ownloop as ol


def test_a_halved_rate_acts_from_the_next_chunk_and_compiles_nothing():
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(1.0)

    def train_step(slope):
        with ol.GradientTape() as tape:
            loss = weight * keras.ops.mean(slope)
        optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        return {"loss": loss, "weight": weight}

    # The slope is -1: each step adds the rate to the weight, and the loss falls; from
    # the 13th batch on it is +1, and the loss rises.
    slopes = ol.Batches(np.repeat([-1.0, 1.0], [12, 12]), batch_size=1)
    loop = ol.Loop(weight=weight, optimizer=optimizer, observers=[])
    for epoch in loop.epochs(1):
        for chunk in epoch.train(train_step, slopes, every=4):
            seen = loop.memory.setdefault("loss", [])
            seen.append(chunk.mean.loss)
            if len(seen) > 1 and seen[-1] > seen[-2]:
                optimizer.learning_rate = float(optimizer.learning_rate) / 2

    weights = loop.history.steps["train_weight"]
    moves = np.diff(weights, prepend=0.0)
    assert moves[:12].tolist() == [1.0] * 12
    # Seen after the 16th batch, so the 17th is the first with half the rate.
    assert moves[12:16].tolist() == [-1.0] * 4
    assert moves[16:20].tolist() == [-0.5] * 4
    assert moves[20:].tolist() == [-0.25] * 4
    assert len(loop.memory["loss"]) == 6
    assert loop.compilations == {"train_step": 1}
