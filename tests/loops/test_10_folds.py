"""Loop 10: five folds in one process, one compilation, and nothing left alive."""

import gc
import weakref

import keras
import numpy as np
import pytest

import ownloop as ol


@pytest.mark.in_turn
def test_five_folds_compile_once_and_leave_nothing_behind(digits, make_model, listener):
    x, y = digits[0][:100], digits[1][:100]
    model = make_model()
    optimizer = keras.optimizers.SGD(0.1)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    start = model.get_weights()
    optimizer.build(model.trainable_variables)
    fresh = [keras.ops.convert_to_numpy(v.value).copy() for v in optimizer.variables]
    losses, alive = [], []
    for fold in range(5):
        model.set_weights(start)
        for variable, value in zip(optimizer.variables, fresh, strict=True):
            variable.assign(value)
        kept = np.arange(100) % 5 != fold
        # Folds 1 to 3 are of one length; the last two are shorter.
        rows = np.flatnonzero(kept)[: 80 if fold < 3 else 60]
        loop = ol.Loop(model=model, optimizer=optimizer, observers=[listener])
        for epoch in loop.epochs(2):
            epoch.train(train_step, ol.Batches((x[rows], y[rows]), batch_size=20)).run()
        losses.append(loop.history["train_loss"][-1])
        alive += [weakref.ref(loop), weakref.ref(epoch)]

    assert listener.notices == ["compiling train_step"]
    assert loop.compilations == {}
    assert len(set(losses)) == 5
    del loop, epoch
    gc.collect()
    assert [found() for found in alive] == [None] * 10


@pytest.mark.in_turn
def test_programs_go_with_the_step_that_they_were_made_from():
    def run() -> list[weakref.ref[object]]:
        weight = keras.Variable(0.0)

        def step(x):
            weight.assign_add(keras.ops.mean(x))
            return weight + 0.0

        loop = ol.Loop(weight=weight, observers=[])
        for epoch in loop.epochs(1):
            epoch.train(step, ol.Batches(np.ones(4), batch_size=2)).run()
        assert loop.compilations == {"step": 1}
        return [weakref.ref(weight), weakref.ref(step), weakref.ref(loop)]

    left = run()
    gc.collect()
    assert [found() for found in left] == [None, None, None]
