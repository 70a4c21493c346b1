"""What a compiled step has frozen, and the script changes later, is seen or said."""

import random

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Notice


@pytest.fixture
def said():
    return []


@pytest.fixture
def loop(said):
    def hear(event):
        if isinstance(event, Notice):
            said.append(event.text)

    return ol.Loop(observers=[hear])


ROWS = ol.Batches(np.ones(10, "float32"), batch_size=4)  # The last one has 2.


def test_a_number_that_the_body_changes_counts_from_the_next_pass_on(loop, said):
    beta = 0.0

    def step(x):
        return keras.ops.mean(x) * beta

    losses = []
    for epoch in loop.epochs(3):
        for chunk in epoch.train(step, ROWS, every=1):
            losses.append(chunk.last.loss)
            if chunk.batch == 1:
                beta = float(epoch.number)
    # The program of the short batch was made when the body had changed it already.
    assert losses[0::3] == [0.0, 1.0, 2.0]
    assert losses[1::3] == [0.0, 1.0, 2.0]
    (words,) = [text for text in said if "since this pass began" in text]
    assert words.startswith("beta was 0.0 and is 1.0 since this pass began: step is")
    assert "as a keras.Variable" in words


def test_single_steps_are_told_of_numbers_that_were_changed(loop, said):
    rate = 1.0

    def step(x):
        return keras.ops.mean(x) * rate

    batch = np.ones(4, "float32")
    for epoch in loop.epochs(2):
        first = epoch.step(step, batch).loss
        rate += 1
        assert epoch.step(step, batch).loss == first == epoch.number
    assert any("rate was 1.0 and is 2.0 since this pass began" in t for t in said)


def test_an_eager_step_reads_what_is_there(said):
    loop, beta = ol.Loop(observers=[said.append], compile=False), 0.0

    def step(x):
        return keras.ops.mean(x) * beta

    for epoch in loop.epochs(1):
        for chunk in epoch.train(step, ROWS, every=1):
            assert chunk.last.loss == beta
            beta += 1
    assert not any("since this pass" in str(event) for event in said)


def test_the_number_of_the_epoch_is_no_constant(loop):
    def step(x):
        return keras.ops.mean(x) * epoch.number + loop.memory["beta"]

    for epoch in loop.epochs(2):
        loop.memory["beta"] = 10.0 * epoch.number
        epoch.train(step, ROWS).run()
    assert loop.history["train_loss"].tolist() == [11.0, 22.0]


@pytest.mark.parametrize("kind", ["numpy", "generator", "module", "none"])
def test_numbers_that_were_drawn_at_compilation_are_said(loop, said, kind):
    generator = np.random.default_rng(0)

    def by_numpy():
        return np.random.beta(0.2, 0.2)

    def by_a_generator():
        return generator.beta(0.2, 0.2)

    def by_the_module():
        return random.random()

    draw = {
        "numpy": by_numpy,
        "generator": by_a_generator,
        "module": by_the_module,
        "none": lambda: 0.5,
    }[kind]

    def step(x):
        return keras.ops.mean(x) * draw()

    for epoch in loop.epochs(1):
        epoch.train(step, ROWS).run()
    words = [text for text in said if "has drawn random numbers" in text]
    assert bool(words) == (kind != "none")
    assert all("Draw with keras.random" in text for text in words)


def test_building_a_model_draws_nothing_that_is_frozen(loop, said):
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5)])

    def step(x):
        return keras.ops.mean(model(x[:, None], training=True))

    for epoch in loop.epochs(1):
        epoch.train(step, ROWS).run()
    assert not any("drawn" in text for text in said)


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as Keras' documentation has it, without a `get_config`."""

    def __init__(self, warmup):
        self.warmup = warmup

    def __call__(self, step):
        return keras.ops.cast(step, "float32") / self.warmup


def test_a_schedule_of_the_users_own_trains(tmp_path):
    weight = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(Warmup(8))

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean((weight - x) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        return loss

    loop = ol.Loop(
        weight=weight, optimizer=optimizer, folder=tmp_path / "run", observers=[]
    )
    for epoch in loop.epochs(2):
        epoch.train(step, ROWS).run()
    expected = 0.0
    for count in range(6):
        expected -= count / 8 * 2 * (expected - 1)
    assert float(keras.ops.convert_to_numpy(weight.value)) == pytest.approx(expected)


def test_arrays_that_were_changed_in_place_are_said(loop, said):
    x = np.ones(8, "float32")
    data = ol.Batches(x, batch_size=4)
    for epoch in loop.epochs(3):
        epoch.train(lambda x: keras.ops.mean(x), data).run()
        if epoch.number == 1:
            x[:] = 2
    assert loop.history["train_loss"].tolist() == [1.0, 1.0, 1.0]
    (words,) = [text for text in said if "changed in place" in text]
    assert "make new ol.Batches" in words
