"""What is captured of a run stays as it was, while a thread writes it."""

import json

import keras
import numpy as np

import ownloop as ol
from ownloop.loop import saving


def test_a_run_that_goes_on_changes_nothing_in_what_was_captured(tmp_path, monkeypatch):
    seen = []

    def capture(*arguments):
        checkpoint = real(*arguments)
        seen.append((checkpoint, json.dumps(checkpoint.meta)))
        return checkpoint

    real = saving.capture
    monkeypatch.setattr(saving, "capture", capture)
    weight = keras.Variable(0.0, name="weight")

    def step(x):
        weight.assign_add(keras.ops.sum(x))
        return keras.ops.sum(x)

    data = ol.Batches(np.arange(2, dtype="float32"), batch_size=1)
    loop = ol.Loop(folder=tmp_path, save=1, observers=[], compile=False, weight=weight)
    for epoch in loop.epochs(1):
        epoch.train(step, data, name="first").run()
        epoch.train(step, data, name="second").run()
        epoch.validate(step, data)
    assert len(seen) > 3
    assert all(json.dumps(checkpoint.meta) == then for checkpoint, then in seen)
