"""A step that logs `metric.result()` logs running values: their average is told of."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Notice

X = np.array([0, 0, 0, 0, 1, 1, 1, 1], "float32")
WEIGHT = keras.Variable(1.0)
DATA = ol.Batches(X, batch_size=2)


@pytest.fixture
def said():
    return []


@pytest.fixture
def mean():
    return keras.metrics.Mean(name="average")


@keras.saving.register_keras_serializable(package="tests")
class Total(keras.Metric):
    """Gives its variable as its result, or a dictionary with it."""

    def __init__(self, *, is_dict=False):
        super().__init__(name="sum")
        self.total = self.add_variable((), "zeros", name="total")
        self.is_dict = is_dict

    def update_state(self, x):
        self.total.assign_add(keras.ops.sum(x))

    def result(self):
        return {"total": self.total} if self.is_dict else self.total


def run(step, said, *, compile=True, epochs=1, data=DATA):
    def hear(event):
        if isinstance(event, Notice) and "result()" in event.text:
            said.append(event.text)

    loop = ol.Loop(observers=[hear], compile=compile)
    for epoch in loop.epochs(epochs):
        epoch.train(step, data).run()
    return loop.history


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_a_result_that_is_logged_is_told_once(mean, said, compile):
    def step(x):
        mean.update_state(x)
        return {"loss": keras.ops.mean(x), "mean": mean.result()}

    history = run(step, said, compile=compile, epochs=3)
    assert said == [
        "step logs 'mean', which is the result() of the metric average: a running "
        "value, whose average over the pass is wrong; return the metric itself, as in "
        '{"mean": metric}'
    ]
    # As the notice says: the metric's own value is 0.5.
    assert history["train_mean"][0] == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


class Outer(keras.metrics.Metric):
    """Hands on what a metric inside of it gives."""

    def __init__(self):
        super().__init__(name="outer")
        self.inner = keras.metrics.Mean(name="inner")

    def update_state(self, x):
        self.inner.update_state(x)

    def result(self):
        return {"inner": self.inner.result()}


def _called(x, metric):
    return metric(x)


def _in_a_tape(x, metric):
    with ol.GradientTape() as tape:
        loss = keras.ops.mean(WEIGHT * x)
        metric.update_state(loss)
        value = metric.result()
    tape.gradient(loss, WEIGHT)
    return value


def _beside_a_loss(x, metric):
    def loss_of(x):
        metric.update_state(x)
        return keras.ops.mean(WEIGHT * x), metric.result()

    (_, value), _ = ol.value_and_grad(loss_of, [WEIGHT], has_aux=True)(x)
    return value


def _plain(x, metric):
    metric.update_state(x)
    return metric.result()


def _each(ways, x):
    return {way.__name__: way(x, metric) for way, metric in ways.items()}


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_it_is_known_in_whatever_way_it_comes(said, compile):
    ways = {
        _called: keras.metrics.Mean(),
        _in_a_tape: keras.metrics.Mean(),
        _beside_a_loss: keras.metrics.Mean(),
        _plain: Total(),
    }
    run(lambda x: {"more": _each(ways, x)}, said, compile=compile)
    names = [text.partition("<lambda> logs ")[2].partition(",")[0] for text in said]
    assert names == [repr(f"more/{way.__name__}") for way in ways]


@pytest.mark.in_turn
def test_of_a_result_with_several_entries_other_advice_is_given(said):
    ways = {_called: Total(is_dict=True), _plain: Outer()}
    run(lambda x: _each(ways, x), said)
    first, second = said
    assert "'_called/total'" in first
    assert first.endswith("return the metrics that it consists of, each by a name")
    # A metric that is inside of another is the one to return.
    assert "'_plain/inner', which is the result() of the metric inner" in second
    assert second.endswith('return the metric itself, as in {"_plain/inner": metric}')


@pytest.mark.in_turn
def test_validations_and_single_steps_are_told_of_too(mean, said):
    def val_step(x):
        mean.update_state(x)
        return {"mean": mean.result()}

    def own_step(x):
        mean.update_state(x)
        return {"mean": mean.result()}

    loop = ol.Loop(observers=[lambda e: said.append(getattr(e, "text", ""))])
    for epoch in loop.epochs(1):
        epoch.validate(val_step, DATA)
        epoch.step(own_step, X)
    told = [words.partition(" logs")[0] for words in said if "result()" in words]
    assert told == ["val_step", "own_step"]


def _computed(x, metric):
    metric.update_state(x)
    return 2 * metric.result()


def _itself(x, metric):
    metric.update_state(x)
    metric.result()
    return metric


def _reset(x, metric):
    metric.reset_state()
    metric.update_state(x)
    return metric.result()


def _reset_afterwards(x, metric):
    metric.update_state(x)
    value = metric.result()
    metric.reset_state()
    return value


def _left_as_it_is(x, metric):
    return metric.result()


def _shown(x, metric):
    metric.update_state(x)
    return ol.last(metric.result())


def _a_loss(x, metric):
    metric.update_state(x)
    metric.result()
    return keras.losses.MeanSquaredError()(x, x + 1)


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_what_is_no_running_value_is_not_told_of(said, compile):
    ways = (_computed, _itself, _reset, _reset_afterwards, _left_as_it_is, _shown)
    metrics = {way: keras.metrics.Mean() for way in (*ways, _a_loss)}
    run(lambda x: _each(metrics, x), said, compile=compile)
    assert said == []


def test_the_classes_are_as_keras_made_them_afterwards(mean, said):
    names = ("result", "update_state", "reset_state", "__call__")
    owners = (keras.Metric, keras.metrics.Mean, Total)
    before = [vars(owner).get(name) for owner in owners for name in names]

    def step(x):
        mean.update_state(x)
        if len(seen) > 0:
            raise KeyError("mine")
        return mean.result()

    seen = []
    run(step, said)
    seen.append(1)
    with pytest.raises(KeyError, match="mine"):
        run(step, said, data=ol.Batches(X, batch_size=4))
    with pytest.raises(KeyError, match="mine"):
        run(step, said, compile=False)
    after = [vars(owner).get(name) for owner in owners for name in names]
    assert all(x is y for x, y in zip(before, after, strict=True))
