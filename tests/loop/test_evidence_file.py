"""What a run's folder keeps of a step that went wrong."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.checkpoints import Store
from ownloop.errors import NonFiniteError


def test_the_batch_and_the_state_before_it_are_kept(tmp_path):
    weight = keras.Variable(np.ones(2, "float32"))

    def step(x, y):
        weight.assign(weight + keras.ops.mean(x))
        return keras.ops.mean(weight * y)

    x = np.array([[1.0], [2.0], [np.inf], [4.0]], "float32")
    data = ol.Batches((x, np.arange(4)), batch_size=1)

    def train():
        weight.assign(np.ones(2))
        loop = ol.Loop(
            weight=weight, folder=tmp_path / "run", compile=False, observers=[]
        )
        for epoch in loop.epochs(1):
            epoch.train(step, data).run()

    for _ in range(2):  # Run again, it meets the same step, which is kept once.
        with pytest.raises(NonFiniteError):
            train()

    store = Store(tmp_path / "run" / "nonfinite", run=None)
    assert store.names() == ["step-3"]
    kept = store.load("step-3")
    assert np.isinf(kept.tensors["batch/0"].array).all()
    assert kept.tensors["batch/1"].array.tolist() == [2]
    assert kept.tensors["state/0"].array.tolist() == [4.0, 4.0]
    assert kept.meta["spoilt"] == [weight.path]
