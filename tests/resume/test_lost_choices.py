"""What an epoch's head has left in a Python variable is missed in a later epoch.

In the middle of a pass the step uses the objects that it used before, or the run is
refused. What was only not built again is no reason to refuse it.
"""

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed, end_of_process
from ownloop.errors import FolderError


def make_data(examples=8):
    rows = np.random.default_rng(0).normal(size=(examples, 3)).astype("float32")
    return ol.Batches(rows, batch_size=2)


def train(loop, step, at, epochs=4, head=lambda epoch: None):
    """Trains, and ends as if it were killed behind step `at`."""
    try:
        for epoch in loop.epochs(epochs):
            head(epoch)
            for _ in epoch.train(step, make_data(), every=1):
                if loop.step == at:
                    raise Killed
    finally:
        end_of_process(loop)
    return loop.history.steps["train_loss"].tolist()


def make_model():
    keras.utils.clear_session()  # Keras numbers from the begin again.
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def another_optimizer(folder, at=None, *, owned, compile=True, resume=True):
    model, optimizer = make_model(), keras.optimizers.Adam(0.1)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x) - 1.0) ** 2)
        weights = model.trainable_variables
        gradients = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}

    def head(epoch):
        nonlocal optimizer
        if epoch.number == 2:
            optimizer = keras.optimizers.SGD(0.05, momentum=0.9)

    objects = {"model": model} | ({"optimizer": optimizer} if owned else {})
    options = {"observers": [], "compile": compile, "resume": resume}
    loop = ol.Loop(folder=folder, save=1, **options, **objects)
    return train(loop, step, at, head=head)


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(
    ("owned", "compile"), [(True, True), (False, True), (True, False), (False, False)]
)
def test_an_optimizer_that_only_an_earlier_epoch_makes_is_missed(
    tmp_path, owned, compile
):
    how = {"owned": owned, "compile": compile}
    with pytest.raises(Killed):
        another_optimizer(tmp_path, 10, **how)
    with pytest.raises(FolderError) as refused:
        another_optimizer(tmp_path, **how)
    assert "train: step used" in str(refused.value)
    assert "sgd/" in str(refused.value)
    assert "`loop.memory`" in str(refused.value)
    # It is refused again, and goes on where that is wanted.
    with pytest.raises(FolderError, match="train: step used"):
        another_optimizer(tmp_path, **how)
    assert len(another_optimizer(tmp_path, resume="inexact", **how)) == 16


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(("at", "compile"), [(6, True), (7, False), (3, True)])
def test_an_optimizer_that_this_epochs_head_makes_goes_on(tmp_path, at, compile):
    how = {"owned": True, "compile": compile}
    expected = another_optimizer(tmp_path / "whole", **how)
    with pytest.raises(Killed):
        another_optimizer(tmp_path / "killed", at, **how)
    assert another_optimizer(tmp_path / "killed", **how) == expected


@pytest.mark.in_turn
def test_a_weight_that_only_an_earlier_epoch_adds_is_missed(tmp_path):
    def play(at=None):
        weight, more = keras.Variable(1.0, name="weight"), None

        def step(x):
            weight.assign(weight * 0.9 + keras.ops.mean(x))
            if more is not None:
                more.assign_add(weight)
            return {"loss": weight * 1.0}

        def head(epoch):
            nonlocal more
            if epoch.number == 2:
                more = keras.Variable(0.0, name="more")

        loop = ol.Loop(folder=tmp_path, save=1, observers=[], weight=weight)
        return train(loop, step, at, head=head)

    with pytest.raises(Killed):
        play(10)
    with pytest.raises(FolderError, match="used 1 variables, such as 'more'"):
        play()


def two_heads(folder, at=None, *, owned, compile=True):
    """Trains two heads in turn, which are built when they are used."""
    model = make_model()
    heads, number = [keras.layers.Dense(2), keras.layers.Dense(3)], 0

    def step(x):
        loss = keras.ops.mean(heads[number](model(x)) ** 2)
        for variable in (*model.trainable_variables, *heads[number].weights):
            variable.assign(variable * 0.9)
        return {"loss": loss}

    def head(epoch):
        nonlocal number
        number = epoch.number % 2

    objects = {"model": model} | ({"even": heads[0], "odd": heads[1]} if owned else {})
    loop = ol.Loop(folder=folder, save=1, observers=[], compile=compile, **objects)
    return train(loop, step, at, head=head)


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(
    ("at", "how"),
    [
        (2, {"owned": False}),
        (10, {"owned": False}),
        (14, {"owned": False}),
        (10, {"owned": True, "compile": False}),
        (14, {"owned": True, "compile": False}),
    ],
)
def test_what_a_pass_reaches_and_does_not_build_is_not_missed(tmp_path, at, how):
    expected = two_heads(tmp_path / "whole", **how)
    with pytest.raises(Killed):
        two_heads(tmp_path / "killed", at, **how)
    assert two_heads(tmp_path / "killed", **how) == expected


@pytest.mark.in_turn(of=("jax",), most=1)
@pytest.mark.parametrize(("at", "owned"), [(2, True), (3, False), (6, True)])
def test_weights_that_the_first_step_draws_are_not_missed(tmp_path, at, owned):
    def play(name, at=None):
        make_model()
        model = keras.Sequential(
            [keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        )
        optimizer = keras.optimizers.Adam(0.1)

        def step(x):
            with ol.GradientTape() as tape:
                y = model(x, training=True)
                loss = keras.ops.mean((y - 1.0) ** 2)
            weights = model.trainable_variables
            gradients = tape.gradient(loss, weights)
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
            return {"loss": loss}

        objects = {"model": model, "optimizer": optimizer} if owned else {}
        loop = ol.Loop(folder=tmp_path / name, save=1, observers=[], **objects)
        return train(loop, step, at, epochs=2)

    expected = play("whole")
    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == expected
