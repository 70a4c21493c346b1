"""A metric that a step logs and does not update, or resets, is told of."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Notice

X = np.array([0, 0, 0, 0, 1, 1, 1, 1], "float32")
DATA = ol.Batches(X, batch_size=2)


@pytest.fixture
def mean():
    return keras.metrics.Mean(name="average")


class Job:
    """A loop that hears what is said of metrics."""

    def __init__(self, **options):
        self.said = []
        self.loop = ol.Loop(observers=[self.hear], **options)

    def hear(self, event):
        if isinstance(event, Notice) and "metric" in event.text:
            self.said.append(event.text)


FORGOTTEN = (
    "step logs the metric average as 'mean' and has not updated it; call its "
    "update_state in the step"
)


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_a_metric_that_is_not_updated_is_told_of_once(mean, compile):
    def step(x):
        return {"loss": keras.ops.mean(x), "mean": mean}

    job = Job(compile=compile)
    for epoch in job.loop.epochs(2):
        epoch.train(step, DATA, every=1).run()
        epoch.validate(step, DATA)
    assert job.said == [FORGOTTEN]


@pytest.mark.in_turn
def test_validations_and_single_steps_are_told_of_too(mean):
    def val(x):
        return {"mean": mean}

    def own(x):
        return mean

    job = Job()
    for epoch in job.loop.epochs(1):
        epoch.validate(val, DATA)
        epoch.step(own, X)
    assert [words.partition(" logs")[0] for words in job.said] == ["val", "own"]


class Largest(keras.Metric):
    """Is updated by a word of its own."""

    def __init__(self):
        super().__init__(name="largest")
        self.largest = self.add_variable((), "zeros", name="largest")

    def see(self, x):
        self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(x)))

    def result(self):
        return self.largest.value


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_one_that_is_updated_in_another_way_is_not(mean, compile):
    largest, branched = Largest(), keras.metrics.Mean()

    def step(x):
        largest.see(x)
        ol.cond(keras.ops.max(x) > 0, lambda: branched.update_state(x))
        return {"loss": keras.ops.mean(x), "largest": largest, "branched": branched}

    def other(x):
        mean.update_state(x)
        return {"other": keras.ops.max(x)}

    def beside(x):
        return {"mean": mean}

    job = Job(compile=compile)
    for epoch in job.loop.epochs(1):
        epoch.train(step, DATA).run()
        passes = [
            epoch.train(side, DATA, every=1, name=side.__name__)
            for side in (other, beside)
        ]
        for _ in zip(*passes, strict=True):
            pass
        for _ in epoch.train(beside, DATA, every=2, name="body"):
            mean.update_state(X)
    assert job.said == []


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_one_that_the_step_resets_is_told_of(mean, compile):
    def step(x):
        mean.reset_state()
        mean.update_state(x)
        return {"mean": mean}

    job = Job(compile=compile)
    for epoch in job.loop.epochs(2):
        values = epoch.train(step, DATA).run()
    assert job.said == [
        "step resets the metric average, which it logs as 'mean': its value over the "
        "pass is that of the last batch; leave out reset_state, since each pass starts "
        "from zero, or log result() for the mean over the batches"
    ]
    assert values.mean == 1.0


class Latest(keras.metrics.Mean):
    """Begins anew by itself."""

    def update_state(self, *values):
        self.reset_state()
        super().update_state(*values)


@pytest.mark.in_turn
def test_one_that_resets_itself_is_not(mean):
    latest = Latest()

    def step(x):
        latest.update_state(x)
        mean.reset_state()
        mean.update_state(x)
        return {"latest": latest, "mean": mean.result()}

    job = Job()
    for epoch in job.loop.epochs(1):
        epoch.train(step, DATA).run()
    assert job.said == []
