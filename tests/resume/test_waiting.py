"""Values from a checkpoint wait for the variables that they belong to."""

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import end_of_process
from ownloop.errors import CheckpointError, LoopError
from ownloop.resume import owned

DATA = ol.Batches(np.ones((8, 3), "float32"), batch_size=2)


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


def run(folder, objects, epochs, count=None):
    """Run so many epochs more over a model, which also count their steps."""
    model, total = objects["model"], keras.Variable(0.0, name="total")

    def step(x):
        for variable in model.trainable_variables:
            variable.assign(variable * 0.9)
        mean = keras.ops.mean(model(x))
        total.assign_add(mean)
        if count is not None:
            count.assign_add(1)
        return {"mean": mean}

    counted = {} if count is None else {"count": count}
    objects = objects | counted | {"total": total}
    loop = ol.Loop(folder=folder, observers=[], compile=False, **objects)
    for epoch in loop.epochs(epochs):
        epoch.train(step, DATA).run()
    end_of_process(loop)
    return float(keras.ops.convert_to_numpy(total)), loop.history["train_mean"].tolist()


@pytest.mark.in_turn
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
    words = r"2 variables differ:\n  \w+/\S+ \(.*\) is not in it.*Expected the objects"
    with pytest.raises(CheckpointError, match=f"(?s){words}"):
        run(tmp_path, objects if turned_first else turned, 2)


@pytest.mark.in_turn
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
@pytest.mark.parametrize("dtype", ["int64", "float64", "uint16", "uint32", "bfloat16"])
def test_a_variable_goes_on_that_the_framework_keeps_in_another_dtype(tmp_path, dtype):
    seen = []
    for epochs in (1, 2):
        count = keras.Variable(0, dtype=dtype, trainable=False, name="count")
        if dtype == "int64":
            assert count.dtype == "int64"
        run(tmp_path, {"model": Noise(keras.random.SeedGenerator(1))}, epochs, count)
        seen.append(float(keras.ops.convert_to_numpy(count.value)))
    assert seen == [4, 8]


@pytest.mark.parametrize("is_owned", [True, False])
def test_a_dtype_that_cannot_be_saved_is_refused_before_the_first_step(
    tmp_path, monkeypatch, is_owned
):
    # Stands for complex128, which JAX without x64 does not have.
    monkeypatch.setattr(owned, "holds", lambda dtype: dtype != "int32")
    count = keras.Variable(0, dtype="int32", trainable=False, name="count")

    def step(x):
        count.assign_add(1)
        return keras.ops.sum(x)

    objects = {"count": count} if is_owned else {}
    loop = ol.Loop(folder=tmp_path, observers=[], **objects)
    words = r"'count' \(\w+/0\) is of dtype int32.*Expected booleans.*Keep it as two"

    def train():
        for epoch in loop.epochs(1):
            epoch.train(step, DATA).run()

    with pytest.raises(LoopError, match=words):
        train()
    assert int(keras.ops.convert_to_numpy(count.value)) == 0
