"""Python runs only while a step is compiled: what it changes there is said."""

import re
import sys
import types

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Notice

ROWS = ol.Batches(np.ones((10, 2), "float32"), batch_size=4)  # The last one has 2.
TENSOR = "and holds no numbers outside of it"
_HOW = re.compile(r" runs (eagerly|one batch at a time|without XLA)")
CALLS = 0
KEPT = []


def train(step, *, epochs=1, compile=True, data=ROWS):
    """Returns what was said, but for what was compiled and how."""
    said = []
    loop = ol.Loop(observers=[said.append], compile=compile)
    for epoch in loop.epochs(epochs):
        epoch.train(step, data).run()
    texts = [event.text for event in said if isinstance(event, Notice)]
    return [t for t in texts if not t.startswith("compiling ") and not _HOW.search(t)]


class Trainer:
    def __init__(self):
        self.calls = 0
        self.inner = types.SimpleNamespace(calls=0)
        self.counts = {"calls": 0}

    def attribute(self, x):
        self.calls += 1
        return keras.ops.mean(x) * self.calls

    def nested(self, x):
        self.inner.calls += 1
        return keras.ops.mean(x) * self.inner.calls

    def key(self, x):
        self.counts["calls"] += 1
        return keras.ops.mean(x) * self.counts["calls"]


class Config:
    calls = 0


class Counting(keras.layers.Layer):
    def __init__(self):
        super().__init__(name="counting")
        self.calls = 0
        self.width = 0

    def build(self, shape):
        self.width = shape[-1]

    def call(self, x):
        self.calls += 1
        return x * self.width * self.calls


def by_global():
    globals()["CALLS"] = 0

    def step(x):
        global CALLS
        CALLS += 1
        return {"loss": keras.ops.mean(x), "beta": min(1.0, CALLS / 100)}

    return step, "CALLS"


def by_closure():
    calls = 0

    def step(x):
        nonlocal calls
        calls += 1
        return keras.ops.mean(x) * calls

    return step, "calls"


def by_class():
    Config.calls = 0

    def step(x):
        Config.calls += 1
        return keras.ops.mean(x) * Config.calls

    return step, "Config.calls"


def by_layer():
    layer = Counting()
    return lambda x: keras.ops.mean(layer(x)), "counting.calls"


def by_setting():
    dropout = keras.layers.Dropout(0.5, name="dropout")

    def step(x):
        dropout.rate *= 0.5
        return keras.ops.mean(dropout(x))

    return step, "dropout.rate"


NUMBERS = {
    "global": by_global,
    "closure": by_closure,
    "class": by_class,
    "layer": by_layer,
    "setting": by_setting,
    "attribute": lambda: (Trainer().attribute, "self.calls"),
    "nested": lambda: (Trainer().nested, "self.inner.calls"),
    "key": lambda: (Trainer().key, "self.counts['calls']"),
}


@pytest.mark.in_turn
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_number_that_a_step_changes_itself_is_said_once(kind):
    step, name = NUMBERS[kind]()
    # Compiled for two shapes, and for a second loop not at all.
    (words,) = train(step, epochs=2) + train(step)
    assert words.startswith(f"{name} is changed by ")
    assert "runs only while it is compiled (it went from 0" in words
    assert words.endswith("Keep it in a keras.Variable and change it with assign_add")


@pytest.mark.once
@pytest.mark.parametrize("kind", NUMBERS)
def test_nothing_is_said_of_a_step_that_is_not_compiled(kind):
    assert train(NUMBERS[kind]()[0], compile=False) == []


def test_a_step_that_cannot_be_compiled_changes_its_numbers_as_it_runs(backend):
    if backend != "torch":
        pytest.skip("elsewhere such a step is refused")
    counting, _ = by_closure()

    def step(x):
        loss = counting(x)
        if loss > 5:  # Both ways are tried.
            loss = loss + 1
        return loss * float(keras.ops.mean(x))

    assert train(step) == []


@pytest.mark.in_turn
def test_what_a_step_builds_or_assigns_anew_is_no_number_that_it_changes():
    trainer = Trainer()
    trainer.rows = trainer.width = 0
    trainer.is_built = False
    trainer.calls = None

    def step(x):
        trainer.rows, trainer.width = x.shape  # Another one for another batch.
        trainer.new = 2 * trainer.rows
        if not trainer.is_built:
            trainer.calls, trainer.is_built = 3, True
        return keras.ops.sum(x) / trainer.rows / trainer.width + trainer.new

    assert train(step, epochs=2) == []


@pytest.mark.once
def test_what_a_library_counts_for_itself_is_not_said(monkeypatch):
    library = types.ModuleType("library")
    library.__file__ = "/lib/python3/site-packages/library.py"
    monkeypatch.setitem(sys.modules, "library", library)
    monkeypatch.setattr(Trainer, "__module__", "library")
    trainer = Trainer()

    def step(x):
        return trainer.attribute(x)

    assert train(step) == []
    assert trainer.calls > 1


@pytest.mark.in_turn
def test_what_keras_objects_do_to_themselves_is_not_said():
    class Penalized(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(2, activity_regularizer="l2")

        def call(self, x):
            self.add_loss(keras.ops.mean(x))
            return self.inner(x)

    model = keras.Sequential([Penalized(), keras.layers.Dropout(0.5)])
    optimizer, mean = keras.optimizers.Adam(), keras.metrics.Mean()

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(x, training=True) ** 2) + sum(model.losses)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        mean.update_state(loss)
        return {"loss": loss, "mean": mean}

    assert train(step, epochs=2) == []


def test_tensors_that_are_put_into_a_list_are_said_once():
    KEPT.clear()

    def step(x):
        KEPT.append(keras.ops.mean(x))
        return KEPT[-1]

    (words,) = train(step, epochs=2) + train(step)
    assert words.startswith("KEPT[")
    assert f"] was given a tensor of step while that was compiled, {TENSOR}" in words
    assert words.endswith("Return it to have it logged, or keep it in a keras.Variable")


@pytest.mark.in_turn
def test_a_tensor_on_an_object_of_the_users_is_said():
    class Scoring(keras.layers.Layer):
        def call(self, x):
            self.scores = x * 2
            return self.scores

    layer, trainer = Scoring(name="scoring"), Trainer()

    def step(x):
        trainer.loss = keras.ops.mean(layer(x))
        trainer.counts["loss"] = trainer.loss + 1
        return trainer.loss

    def name(words):
        return words.partition(" was given")[0]

    assert sorted(map(name, train(step))) == [
        "scoring.scores",
        "trainer.counts['loss']",
        "trainer.loss",
    ]
    # What is there already was given by another step.
    assert train(lambda x: keras.ops.mean(x) + (trainer.loss is None)) == []


def test_a_tensor_that_a_step_would_go_on_with_is_said(backend):
    base = [keras.ops.convert_to_tensor(0.0)]

    def step(x):
        base[0] = base[0] * 0.9 + keras.ops.mean(x)
        return base[0]

    told = f"base[0] was given a tensor of step while that was compiled, {TENSOR}"
    if backend == "torch":
        even = ol.Batches(np.ones((8, 2), "float32"), batch_size=4)
        assert [words.partition(".")[0] for words in train(step, data=even)] == [told]
        errors = RuntimeError  # With another shape, for which it has to compile.
    else:
        errors = TypeError
    with pytest.raises(errors) as caught:
        train(step)
    assert told in "\n".join(caught.value.__notes__)


@pytest.mark.in_turn
def test_tensors_of_numbers_may_be_kept():
    base, kept = [keras.ops.convert_to_tensor(2.0)], {}

    def step(x):
        return keras.ops.mean(x) * base[0] + kept.get("base", 0)

    kept["base"] = base[0]
    assert train(step) == []

    def eager(x):
        base[0] = base[0] * 0.9 + keras.ops.mean(x)
        return base[0]

    assert train(eager, compile=False) == []
