"""Validation leaves no trace: every variable that it touched is put back, and seeds.

Whatever the validation step does, and also where it raises; only its numbers stay.
"""

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.fixture
def data():
    x = np.random.default_rng(0).normal(size=(22, 3)).astype("float32")
    return ol.Batches(x, batch_size=4)


class Job:
    """A model, a metric and a counter, and a validation step that changes them all."""

    def __init__(self):
        self.model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5, seed=1),
                keras.layers.Dropout(0.5),
            ]
        )
        self.metric = keras.metrics.Mean()
        self.seeds = keras.random.SeedGenerator(5)
        self.counter = keras.Variable(7, dtype="int32", trainable=False)
        self.metric.update_state(3.0)

    def variables(self):
        seeds = [layer.seed_generator.state for layer in self.model.layers[2:]]
        return (
            *self.model.variables,
            *self.metric.variables,
            *seeds,
            self.seeds.state,
            self.counter,
        )

    def step(self, x):
        outputs = self.model(x, training=True)
        noise = keras.random.normal((), seed=self.seeds)
        self.counter.assign_add(1)
        self.model.layers[0].bias.assign_add(keras.ops.ones(4))
        self.metric.update_state(x)
        return {"loss": keras.ops.mean(outputs) + noise, "metric": self.metric}


def generator_state(backend):
    if backend == "torch":
        import torch

        return torch.get_rng_state().tolist()
    return None


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [False, True])
def test_validation_puts_everything_back(backend, bits, data, compile):
    job = Job()
    loop = ol.Loop(
        model=job.model, metric=job.metric, counter=job.counter, compile=compile,
        observers=(),
    )  # fmt: skip
    before, generator = bits(job.variables()), generator_state(backend)
    results = [loop.validate(job.step, data) for _ in range(2)]
    for epoch in loop.epochs(1):
        results.append(epoch.validate(job.step, data))
    assert bits(job.variables()) == before
    assert generator_state(backend) == generator
    # From equal states, equal numbers; the metric has counted this validation only.
    assert results[0] == results[1] == results[2]
    x = data.leaves[0]
    assert results[0].metric == pytest.approx(x.mean(), abs=1e-6)
    assert loop.step == 0
    assert loop.history.row(1)["val_loss"] == results[0].loss


@pytest.mark.parametrize("compile", [True, False])
def test_a_validation_that_fails_leaves_no_trace_either(backend, bits, data, compile):
    job = Job()

    def step(x):
        result = job.step(x)
        if x.shape[0] != 4:
            raise ZeroDivisionError("mine")
        return result

    loop = ol.Loop(
        model=job.model, metric=job.metric, seeds=job.seeds, compile=compile,
        observers=(),
    )  # fmt: skip
    before, generator = bits(job.variables()), generator_state(backend)
    with pytest.raises(ZeroDivisionError, match="mine"):
        loop.validate(step, data)
    assert bits(job.variables()) == before
    assert generator_state(backend) == generator


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [False, True])
def test_what_a_validation_creates_is_as_it_was_created(host, data, compile):
    metric = keras.metrics.F1Score(average="macro", threshold=0.5)

    def step(x):
        labels = keras.ops.cast(x > 0, "float32")
        metric.update_state(labels, keras.ops.sigmoid(x))
        return metric

    loop = ol.Loop(metric=metric, compile=compile, observers=())
    values = loop.validate(step, data)
    assert values["f1_score"] == pytest.approx(1)
    assert len(metric.variables) > 0
    assert all(not host(variable).any() for variable in metric.variables)


@pytest.mark.in_turn
def test_training_goes_on_as_if_there_had_been_no_validation(bits, data):
    def train(validate):
        keras.utils.set_random_seed(3)
        job = Job()
        loop = ol.Loop(observers=())
        losses = []
        for epoch in loop.epochs(2):
            for chunk in epoch.train(job.step, data, every=2):
                losses.extend(chunk.steps.loss)
                if validate:
                    epoch.validate(job.step, data)
        return bits(job.variables()), losses

    assert train(validate=True) == train(validate=False)
