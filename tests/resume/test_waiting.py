"""Values from a checkpoint wait for the variables that they belong to."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import CheckpointError


class Noise(keras.layers.Layer):
    """Draws from a generator that somebody else owns, too."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return self.scale * keras.random.normal((2, 3), seed=self.seed)


def overlapping(which):
    """Make two objects, the second of which contains the first."""
    keras.utils.set_random_seed(1)
    if which == "seed":
        seed = keras.random.SeedGenerator(1)
        return {"seed": seed, "model": Noise(seed)}
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    layers = [keras.Input((3,)), encoder, keras.layers.Dense(1)]
    return {"encoder": encoder, "model": keras.Sequential(layers)}


def run(folder, objects, epochs):
    model, total = objects["model"], keras.Variable(0.0, name="total")

    def step(x):
        for variable in model.trainable_variables:
            variable.assign(variable * 0.9)
        mean = keras.ops.mean(model(x))
        total.assign_add(mean)
        return {"mean": mean}

    data = ol.Batches(np.ones((8, 3), "float32"), batch_size=2)
    loop = ol.Loop(folder=folder, observers=[], compile=False, total=total, **objects)
    for epoch in loop.epochs(epochs):
        epoch.train(step, data).run()
    loop._run.home._files.close()
    return float(keras.ops.convert_to_numpy(total)), loop.history["train_mean"].tolist()


@pytest.mark.parametrize("which", ["encoder", "seed"])
def test_objects_that_share_variables_go_on(tmp_path, which):
    whole = run(tmp_path / "whole", overlapping(which), 2)
    run(tmp_path / "parts", overlapping(which), 1)
    assert run(tmp_path / "parts", overlapping(which), 2) == whole


@pytest.mark.parametrize("turned_first", [False, True])
def test_shared_variables_that_have_another_owner_are_refused(tmp_path, turned_first):
    objects = overlapping("encoder")
    turned = dict(reversed(objects.items()))
    run(tmp_path, turned if turned_first else objects, 1)
    objects = overlapping("encoder")
    turned = dict(reversed(objects.items()))
    words = r"2 variables differ:\n  \w+/0 \(.*\) is not in it.*Expected the objects"
    with pytest.raises(CheckpointError, match=f"(?s){words}"):
        run(tmp_path, objects if turned_first else turned, 2)
