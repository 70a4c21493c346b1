"""What is changed of a run while it rests is noticed, and put into a checkpoint."""

import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.loop.capture import Tracked, capture
from ownloop.loop.changes import Changes
from ownloop.loop.nonfinite import Policy
from ownloop.loop.run import Run
from ownloop.resume import owned
from ownloop.resume.names import Names


class Counter:
    """An object with a state of its own."""

    def __init__(self):
        self.count = 0

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]


@pytest.fixture
def things():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="dense")])
    return {"model": model, "mean": keras.metrics.Mean(), "counter": Counter()}


@pytest.fixture
def run(things):
    policy = Policy(0, raises=True)
    return Run(things, compiled=False, observers=[], nonfinite=policy)


def checkpoint_of(run):
    return capture(run, Tracked(Names(run.objects)), lambda: None, {}, None)


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, entry in one.tensors.items():
        np.testing.assert_array_equal(entry.array, other.tensors[name].array)
        assert entry.role == other.tensors[name].role
    assert one.meta == other.meta


def load(run):
    weights = owned_weights(run)
    weights[0].assign(weights[0] + 1)


def owned_weights(run):
    return run.objects["model"].weights


def count(run):
    run.objects["counter"].count = 3


def freeze(run):
    run.objects["model"].layers[0].trainable = False


def remember(run):
    run.memory["best"] = [0.5]


def keep(run):
    run.saved["best"] = owned.save(run.objects, {})


@pytest.mark.parametrize("change", [load, count, freeze, remember, keep])
def test_a_checkpoint_becomes_what_it_would_be_after_the_change(run, change):
    changes, before = Changes(run), checkpoint_of(run)
    changes.note()
    change(run)
    changes.collect("step-1")
    assert str(changes)
    same(changes.put_into(before), checkpoint_of(run))


def test_where_nothing_is_changed_a_checkpoint_stays_as_it_is(run):
    changes, before = Changes(run), checkpoint_of(run)
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""
    same(changes.put_into(before), before)


def test_what_changed_before_it_was_noted_is_none(run):
    changes = Changes(run)
    remember(run)
    changes.collect("step-1")
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""


def test_metrics_change_by_a_look_at_a_model(run, things):
    changes = Changes(run)
    changes.note()
    things["mean"].update_state(3.0)
    changes.collect("step-1")
    assert str(changes) == ""


def test_changes_stay_until_a_later_checkpoint_has_them(run):
    changes = Changes(run)
    changes.note()
    remember(run)
    changes.collect("step-1")
    changes.note()
    load(run)
    changes.collect("step-1")
    assert str(changes).endswith("dense/kernel, loop.memory")
    changes.forget_saved("step-1")
    assert str(changes)
    changes.forget_saved("step-2")
    assert str(changes) == ""


def test_what_cannot_be_saved_is_no_matter_here(run):
    changes = Changes(run)
    run.memory["mine"] = np.zeros(2)
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""


def test_only_some_of_many_are_named(run, things):
    things["model"] = keras.Sequential(
        [keras.Input((2,)), *(keras.layers.Dense(2) for _ in range(4))]
    )
    run.objects |= things
    changes = Changes(run)
    changes.note()
    things["model"].set_weights([w + 1 for w in things["model"].get_weights()])
    changes.collect("step-1")
    assert str(changes).endswith("kernel and 3 more")


def test_layers_that_are_frozen_after_ctrl_c_stay_so(tmp_path, things):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)]
    )
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    loop = ol.Loop(model=model, optimizer=optimizer, folder=tmp_path, observers=[])
    rows = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    data = ol.Batches(rows, batch_size=2)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((model(x) - 1.0) ** 2)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return {"loss": loss}

    def cell(at=None):
        for epoch in loop.epochs(2):
            for chunk in epoch.train(step, data, every=1):
                if chunk.step == at:
                    signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cell(at=3)
    first, last = (layer.get_weights() for layer in model.layers)
    model.layers[0].trainable = False
    cell()
    assert loop.step == 16
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], first[0])
    assert np.all(model.layers[1].get_weights()[0] != last[0])
