"""What is changed of a run while it rests is noticed, and put into a checkpoint."""

import json
import re
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import LoopError
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


@pytest.fixture
def tracked(run):
    return Tracked(Names(run.objects))


@pytest.fixture
def changes(run, tracked):
    return Changes(run, tracked)


@pytest.fixture
def checkpoint(run, tracked):
    return lambda: capture(run, tracked, lambda: None, {}, None)


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, entry in one.tensors.items():
        np.testing.assert_array_equal(entry.array, other.tensors[name].array)
        assert entry.role == other.tensors[name].role
    assert one.meta == other.meta


def load(run):
    weight = run.objects["model"].weights[0]
    weight.assign(weight + 1)


def count(run):
    run.objects["counter"].count = 3


def freeze(run):
    run.objects["model"].layers[0].trainable = False


def remember(run):
    run.memory["best"] = [0.5]


def forget(run):
    del run.memory["old"]


def keep(run):
    run.saved["best"] = owned.save(run.objects, {})


@pytest.mark.parametrize("change", [load, count, freeze, remember, forget, keep])
def test_a_checkpoint_becomes_what_it_would_be_after_the_change(
    run, changes, checkpoint, change
):
    run.memory["old"] = 1
    before = checkpoint()
    changes.note()
    change(run)
    changes.collect("step-1")
    assert str(changes)
    same(changes.put_into(before), checkpoint())


def test_each_part_changes_by_itself(run, tracked, changes, checkpoint):
    run.memory |= {"steps": 20, "phase": 1}
    run.objects["other"] = Counter()
    before = checkpoint()
    # What the next steps do is in no checkpoint, and the run is left there.
    load(run)
    run.memory["steps"] = 37
    run.objects["other"].count = 37
    changes.note()
    freeze(run)
    count(run)
    run.memory["phase"] = 2
    changes.collect("step-20")
    after = changes.put_into(before)
    kernel = before.tensors["model/0/weight0"]
    np.testing.assert_array_equal(after.tensors["model/0/weight0"].array, kernel.array)
    assert after.tensors["model/0/weight0"].role == "state" != kernel.role
    assert json.loads(after.meta["memory"]) == {"steps": 20, "phase": 2}
    states = {n: json.loads(text) for n, text in after.meta["objects"].items()}
    assert states == {"counter": {"count": 3}, "other": {"count": 0}}


def test_where_nothing_is_changed_a_checkpoint_stays_as_it_is(changes, checkpoint):
    before = checkpoint()
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""
    same(changes.put_into(before), before)


def test_what_changed_before_it_was_noted_is_none(run, changes):
    remember(run)
    changes.collect("step-1")
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""


def test_metrics_change_by_a_look_at_a_model(run, tracked, changes, things):
    found = keras.metrics.Mean()
    tracked.names.note("train: step", found.variables)
    changes.meet((found,))
    changes.note()
    things["mean"].update_state(3.0)
    found.update_state(3.0)
    changes.collect("step-1")
    assert str(changes) == ""


def test_what_only_a_step_has_found_is_changed_as_well(tracked, changes):
    rate = keras.Variable(0.1, name="rate")
    tracked.names.note("train: step", [rate])
    changes.note()
    rate.assign(0.01)
    changes.collect("step-1")
    assert str(changes) == rate.path


def test_changes_stay_until_a_later_checkpoint_has_them(run, changes):
    changes.note()
    remember(run)
    changes.collect("step-1")
    changes.note()
    load(run)
    changes.collect("step-1")
    assert re.fullmatch(r"loop\.memory\['best'\], .*dense/kernel", str(changes))
    # An older one, where the newest cannot be trusted, has them not.
    for name in ("step-1", None):
        changes.forget_saved(name)
        assert str(changes)
    changes.forget_saved("step-1.2")
    assert str(changes) == ""


def test_what_cannot_be_saved_is_refused_once_it_is_changed(run, changes):
    run.memory |= {"mine": np.zeros(2), "phase": 1}
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""
    changes.note()
    run.memory |= {"mine": np.float32(0.5), "phase": 2}
    with pytest.raises(LoopError, match=r"loop\.memory\['mine'\] cannot be saved"):
        changes.collect("step-1")
    # Whoever mends it has lost nothing.
    run.memory["mine"] = 0.5
    changes.collect("step-1")
    assert str(changes) == "loop.memory['mine'], loop.memory['phase']"


def test_an_object_that_refuses_to_tell_its_state_ends_no_round(changes, things):
    def refuse():
        raise ValueError("mine")

    things["counter"].get_state = refuse
    changes.note()
    changes.collect("step-1")
    assert str(changes) == ""


def test_only_some_of_many_are_named(run, changes):
    dense = [keras.layers.Dense(2) for _ in range(4)]
    run.objects["model"] = model = keras.Sequential([keras.Input((2,)), *dense])
    tracked = Tracked(Names(run.objects))
    changes = Changes(run, tracked)
    changes.note()
    model.set_weights([weight + 1 for weight in model.get_weights()])
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
