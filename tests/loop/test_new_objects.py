"""Cells that are run again in one process: the same objects may have been changed.

New ones are compared with what the run began with, as in another process: they would
be given its state, and the learning rate that was asked for would be lost in silence.
"""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import FolderError
from ownloop.events import Notice

ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
DATA = ol.Batches(ROWS, batch_size=2)


def make_model(rate=0.3, activation="relu"):
    layers = [
        keras.layers.Dense(2, activation=activation),
        keras.layers.Dropout(rate, seed=1),
        keras.layers.Dense(1),
    ]
    return keras.Sequential([keras.Input((3,)), *layers])


def make_optimizer(rate=0.1, momentum=0.9):
    return keras.optimizers.SGD(rate, momentum=momentum)


def train(folder, model, optimizer, epochs, resume=True):
    """Runs the cells that make a loop and go through it; returns what is said."""

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x, training=True) - 1.0) ** 2)
        weights = model.trainable_variables
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}

    said = []
    loop = ol.Loop(
        folder=folder,
        compile=False,
        resume=resume,
        observers=[lambda e: said.append(e.text) if isinstance(e, Notice) else None],
        model=model,
        optimizer=optimizer,
    )
    for epoch in loop.epochs(epochs):
        epoch.train(step, DATA).run()
    assert loop.epoch == epochs
    return said


@pytest.mark.in_turn
def test_equal_objects_that_are_new_go_on(tmp_path):
    for epochs in (2, 4, 6):
        train(tmp_path, make_model(), make_optimizer(), epochs)


@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("model", "optimizer", "words"),
    [
        ({"rate": 0.9}, {}, r"dropout\.rate was 0\.3 and is 0\.9"),
        ({"activation": "tanh"}, {}, r"dense\.activation was 'relu' and is 'tanh'"),
        ({}, {"rate": 0.01}, r"sgd\.learning_rate was 0\.1.* and is 0\.0"),
        ({}, {"momentum": 0.5}, r"sgd\.momentum was 0\.9 and is 0\.5"),
    ],
)
def test_new_objects_of_other_settings_are_refused_by_name(
    tmp_path, model, optimizer, words
):
    first, second = make_model(), make_optimizer()
    train(tmp_path, first, second, 2)
    others = make_model(**model), make_optimizer(**optimizer)
    with pytest.raises(FolderError, match=f"continued exactly: {words}"):
        train(tmp_path, *others, 4)
    with pytest.raises(FolderError, match=words):
        train(tmp_path, *others, 4)
    # The run is as it was: the first objects go on, and where it is wanted the others.
    train(tmp_path, first, second, 4)
    said = train(tmp_path, *others, 6, resume="inexact")
    assert any("continuing inexactly, since" in text for text in said)


@pytest.mark.in_turn
def test_the_same_objects_count_as_they_were_changed(tmp_path):
    model, optimizer = make_model(), make_optimizer()
    train(tmp_path, model, optimizer, 2)
    model.layers[1].rate = 0.9
    model.layers[0].trainable = False
    train(tmp_path, model, optimizer, 4)
    # A new optimizer is compared, and the model that is still the same is not.
    train(tmp_path, model, make_optimizer(), 6)
    with pytest.raises(FolderError, match=r"sgd\.momentum") as refused:
        train(tmp_path, model, make_optimizer(momentum=0.5), 8)
    assert "dropout" not in str(refused.value)
    assert "trainable" not in str(refused.value)
