"""What a run's folder keeps of a step that went wrong."""

import json

import keras
import numpy as np
import optree
import pytest

import ownloop as ol
from ownloop.checkpoints import Store
from ownloop.errors import NonFiniteError
from ownloop.guards import Evidence, Kept, Where
from ownloop.loop import run_folder
from ownloop.loop.evidence_file import from_checkpoint, to_checkpoint


def test_the_batch_and_the_state_before_it_are_kept(tmp_path, monkeypatch):
    # Where many tests run at once, their process has no script that could run again.
    monkeypatch.setattr(run_folder, "script_of_this_process", lambda: "train.py")
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
        with pytest.raises(NonFiniteError) as caught:
            train()
    command = f"as `ownloop replay {tmp_path / 'run'}` does later"
    assert command in str(caught.value)

    store = Store(tmp_path / "run" / "nonfinite", run=None)
    assert store.names() == ["step-3"]
    kept = store.load("step-3")
    assert np.isinf(kept.tensors["batch/0"].array).all()
    assert kept.tensors["batch/1"].array.tolist() == [2]
    assert kept.tensors["state/0"].array.tolist() == [4.0, 4.0]
    assert kept.meta["spoilt"] == [weight.path]


def test_what_is_kept_is_found_again():
    batch = {"x": np.ones((2, 3), "float32"), "y": [np.arange(2), np.arange(3)]}
    kept = Evidence(
        where=Where(12, 3, "train", 4),
        batch=batch,
        logged={"loss": float("nan"), "rate": 0.1, "picture": np.ones((2, 2))},
        losses=("loss",),
        state=(Kept("a/kernel", np.zeros(3)), Kept("a/kernel", np.ones(2))),
        spoilt=(),
        random=(np.arange(5, dtype="uint8"), np.arange(2, dtype="uint8")),
    )
    structure = optree.tree_structure(batch)

    again = from_checkpoint(to_checkpoint(kept), structure)

    assert str(again.where) == str(kept.where)
    assert again.cause == kept.cause == "loss is nan"
    for mine, theirs in zip(
        optree.tree_leaves((again.batch, again.random)),
        optree.tree_leaves((kept.batch, kept.random)),
        strict=True,
    ):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert [one.path for one in again.state] == ["a/kernel", "a/kernel"]
    assert [one.value.tolist() for one in again.state] == [[0, 0, 0], [1, 1]]
    assert again.logged["rate"] == 0.1
    assert again.logged["picture"].tolist() == [[1, 1], [1, 1]]
    assert json.dumps(to_checkpoint(kept).meta)  # Without the picture.
    assert from_checkpoint(to_checkpoint(kept), None).batch is None
