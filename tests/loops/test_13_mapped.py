"""Data larger than memory: the same training from a memory-mapped file."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.data import ResidentFeed


def train(x, y, *, steps=None, every=None):
    """Trains a small network; returns its weights and each step's loss."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    optimizer = keras.optimizers.Adam(0.01)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(keras.ops.cast(x, "float32") / 255))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return {"loss": loss}

    loop = ol.Loop(model=model, optimizer=optimizer, observers=[])
    data = ol.Batches((x, y), batch_size=8, shuffle=True, seed=3)
    for epoch in loop.epochs(3):
        epoch.train(step, data, steps=steps, every=every).run()
        epoch.validate(step, data)
    weights = [np.array(keras.ops.convert_to_numpy(v)) for v in model.weights]
    return weights, loop.history.steps["train_loss"]


@pytest.mark.in_turn
@pytest.mark.parametrize("steps", [None, 5])
def test_a_file_on_the_disk_trains_as_arrays_in_memory_do(tmp_path, steps):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (50, 6)).astype("uint8")
    y = random.integers(0, 3, 50)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

    weights, losses = train(x, y, steps=steps)
    same_weights, same_losses = train(mapped, y, steps=steps, every=2)

    assert np.array_equal(losses, same_losses)
    for one, other in zip(weights, same_weights, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.in_turn
def test_a_file_on_the_disk_is_never_placed_as_a_whole(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.ones((50, 6), "float32"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(ResidentFeed, "__init__", None)
    data = ol.Batches(mapped[10:], batch_size=8)
    values = ol.Loop(observers=[]).validate(keras.ops.sum, data)
    assert values == {"loss": 48}
