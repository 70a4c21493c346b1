"""Loop 9: several validation sets, and a test set after the loop."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import HistoryError


@pytest.mark.in_turn
def test_each_validation_set_has_its_own_columns():
    weight = keras.Variable(2.0)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0)

    def train_step(x):
        weight.assign_add(1.0)
        return {"weight": weight}

    def val_step(x, y):
        accuracy.update_state(y, x * weight)
        return {"accuracy": accuracy}

    train = ol.Batches(np.ones(4), batch_size=2)
    x = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    clean = ol.Batches((x, (x > 0).astype(int)), batch_size=2)
    noisy = ol.Batches((x, np.array([[1], [1], [1], [0]])), batch_size=2)
    loop = ol.Loop(weight=weight, accuracy=accuracy, observers=[])
    for epoch in loop.epochs(2):
        epoch.train(train_step, train).run()
        epoch.validate(val_step, clean)
        result = epoch.validate(val_step, noisy, name="noisy")
        assert epoch["noisy_accuracy"] == result.accuracy
        assert epoch["val_accuracy"] == 1.0
    test = loop.validate(val_step, noisy, name="test")

    assert loop.history["val_accuracy"].tolist() == [1.0, 1.0]
    assert loop.history["noisy_accuracy"].tolist() == [0.75, 0.75]
    assert test.accuracy == 0.75
    # Outside of the epochs: a look with its step, and no column of the epochs.
    look = loop.history.looks("test_accuracy")
    assert (look.step.tolist(), look.value.tolist()) == ([4], [0.75])
    with pytest.raises(HistoryError, match="looks"):
        loop.history["test_accuracy"]
    assert loop.step == 4
    # One program for three data sets of one shape.
    assert loop.compilations == {"train_step": 1, "val_step": 1}
