"""Laws 2 and 3: how often one looks, and validation, change no bit of a run.

One model with all kinds of state: weights, optimizer slots, moving averages, a metric,
seeds. The validation step draws seeds and counts with the training step's own metric.
"""

import keras
import numpy as np
import pytest

import ownloop as ol

BATCH, EXAMPLES = 8, 8 * 310 + 5


def make_data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, 6)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


@pytest.fixture(scope="module")
def train():
    """The whole run; returns the state's bits, losses and what was logged.

    Model and steps are made once, and put back to their first values for each run:
    each shape of batch is then compiled once for all of these tests.
    """
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.Dense(2),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(model.trainable_variables)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step(x, y):
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        accuracy.update_state(y, logits)
        return {"loss": loss, "accuracy": accuracy}

    def val_step(x, y):
        logits = model(x, training=True)
        accuracy.update_state(y, logits)
        return {"loss": loss_fn(y, logits), "accuracy": accuracy}

    seed = model.layers[2].seed_generator.state
    state = {
        id(v): v
        for v in (*model.variables, *optimizer.variables, *accuracy.variables, seed)
    }
    state = tuple(state.values())
    first = [keras.ops.copy(variable.value) for variable in state]

    def run(bits, data, *, every=None, validation=None, **options):
        for variable, value in zip(state, first, strict=True):
            variable.assign(value)
        loop = ol.Loop(model=model, **{"observers": ()} | options)
        losses, means = [], []
        for epoch in loop.epochs(1):
            for chunk in epoch.train(train_step, data, every=every):
                losses.extend(chunk.steps.loss.tolist())
                if validation is not None:
                    means.append(epoch.validate(val_step, validation).loss)
        result = bits(state), losses, dict(loop.history.row(1))
        if validation is None:
            return result
        # Validations differ in their draws of seeds, as training has moved on.
        row = {k: v for k, v in result[2].items() if not k.startswith("val_")}
        assert len(set(means)) == len(means) > 1
        return result[0], losses, row

    return run


@pytest.fixture(scope="module")
def reference(train, bits):
    return train(bits, ol.Batches(make_data(), batch_size=BATCH))


def check_same(result, reference):
    state, losses, row = result
    assert len(losses) == len(reference[1]) == 311
    assert losses == reference[1]
    assert state == reference[0]
    assert row == reference[2]


@pytest.mark.in_turn(most=1)
@pytest.mark.parametrize("every", [1, 7, 300, (7, 300), ol.every(300, start=1)])
def test_how_often_one_looks_changes_no_bit(train, bits, reference, every):
    data = ol.Batches(make_data(), batch_size=BATCH)
    check_same(train(bits, data, every=every), reference)


@pytest.mark.in_turn
@pytest.mark.parametrize("every", [7, 300])
def test_a_validation_after_every_chunk_changes_no_bit(train, bits, reference, every):
    data = ol.Batches(make_data(), batch_size=BATCH)
    x, y = make_data()
    validation = ol.Batches((x[:40], y[:40]), batch_size=BATCH)
    check_same(train(bits, data, every=every, validation=validation), reference)


@pytest.mark.in_turn
@pytest.mark.parametrize("every", [None, 7])
def test_batches_that_come_one_by_one_give_the_same_bits(train, bits, reference, every):
    x, y = make_data()
    stream = [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, EXAMPLES, BATCH)]
    check_same(train(bits, stream, every=every), reference)


def test_a_tensorflow_dataset_gives_the_same_bits(train, bits, reference):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices(make_data()).batch(BATCH)
    check_same(train(bits, data, every=100), reference)


def test_watching_changes_no_bit(train, bits, reference):
    seen = []
    data = ol.Batches(make_data(), batch_size=BATCH)
    check_same(train(bits, data, every=50, observers=(seen.append,)), reference)
    assert len(seen) > 7


def test_losses_of_the_steps_are_those_of_the_history(train, bits):
    losses = train(bits, ol.Batches(make_data(), batch_size=BATCH), every=64)[1]
    assert np.isfinite(losses).all()
    assert len(set(losses)) > 300
