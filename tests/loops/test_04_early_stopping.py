"""Loop 4: validation between the looks, early stopping, and the best state kept."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Stopped


@pytest.mark.in_turn
def test_training_stops_after_the_best_look_and_goes_back_to_it(listener):
    # Training pulls the weight to 10, validation would like it at 5: it overfits.
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(0.01)
    distance = keras.metrics.Mean()

    def train_step(target):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((weight - target) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        distance.update_state(keras.ops.abs(weight - 10.0))
        return {"loss": loss, "distance": distance}

    def val_step(target):
        distance.update_state(keras.ops.abs(weight - target))
        return {"loss": keras.ops.mean((weight - target) ** 2), "distance": distance}

    train = ol.Batches(np.full(80, 10.0), batch_size=2)
    val = ol.Batches(np.full(4, 5.0), batch_size=2)
    looked_at = {}
    loop = ol.Loop(weight=weight, optimizer=optimizer, observers=[listener])
    for epoch in loop.epochs(50):
        for chunk in epoch.train(train_step, train, every=8):
            epoch.validate(val_step, val)
            looked_at[chunk.step] = float(keras.ops.convert_to_numpy(weight.value))
            best = loop.history.lowest("val_loss")
            if best.age == 0:
                loop.save("best")
            if best.age >= 3:
                loop.stop(f"no better val_loss than {best.value:.4f} for 3 looks")
    at_the_end = float(keras.ops.convert_to_numpy(weight.value))
    loop.load("best")

    assert abs(looked_at[best.step] - 5) == min(abs(w - 5) for w in looked_at.values())
    assert float(keras.ops.convert_to_numpy(weight.value)) == looked_at[best.step]
    assert at_the_end == looked_at[loop.step] > looked_at[best.step]
    assert loop.step == best.step + 3 * 8
    assert loop.stopped == f"no better val_loss than {best.value:.4f} for 3 looks"
    last = listener.events[-1]
    assert isinstance(last, Stopped)
    assert last.reason == loop.stopped
    # The validations left no trace in the metric that training uses too.
    steps = [s for s in looked_at if s <= 40]
    for step in steps:
        ones = loop.history.steps["train_distance"][:step]
        assert (np.diff(ones) < 0).all()
    # The epoch that was cut short is recorded with the steps that it took.
    assert loop.history["step"][-1] == loop.step
    assert loop.compilations == {"train_step": 1, "val_step": 1}
