"""Loop 11: layers are unfrozen after two epochs."""

import keras
import numpy as np
import pytest

import ownloop as ol


def parts(digits):
    """A base and a head, an optimizer, and a step that trains what is trainable."""
    base = keras.Sequential(
        [keras.layers.Input((49,)), keras.layers.Dense(8, activation="relu")],
        name="base",
    )
    model = keras.Sequential([base, keras.layers.Dense(10)])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step(x, y):
        with ol.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    data = ol.Batches((digits[0][:40], digits[1][:40]), batch_size=20)
    return base, model, optimizer, train_step, data


@pytest.mark.in_turn
def test_unfreezing_compiles_again_and_says_so(digits, listener):
    base, model, optimizer, train_step, data = parts(digits)
    optimizer.build(model.trainable_variables)
    before = {0: base.get_weights()}
    loop = ol.Loop(model=model, optimizer=optimizer, observers=[listener])
    for epoch in loop.epochs(4):
        base.trainable = epoch.number > 2
        epoch.train(train_step, data).run()
        before[epoch.number] = base.get_weights()

    def base_moved(one, other):
        pairs = zip(before[one], before[other], strict=True)
        return not all(np.array_equal(a, b) for a, b in pairs)

    assert [base_moved(i, i + 1) for i in range(4)] == [False, False, True, True]
    first, second = listener.notices
    assert first == "compiling train_step"
    assert second.startswith("compiling train_step again: ")
    assert "base.trainable was False and is True" in second
    assert loop.compilations == {"train_step": 2}


@pytest.mark.in_turn
def test_an_optimizer_that_does_not_know_the_new_variables_says_what_to_do(digits):
    base, model, optimizer, train_step, data = parts(digits)
    loop = ol.Loop(model=model, optimizer=optimizer, observers=[], compile=False)

    def script():
        for epoch in loop.epochs(4):
            base.trainable = epoch.number > 2
            epoch.train(train_step, data).run()

    with pytest.raises(ValueError, match="Unknown variable") as caught:
        script()
    how, where = caught.value.__notes__
    assert "optimizer.build(model.trainable_variables)" in how
    assert "epoch 3" in where
    assert (loop.epoch, loop.step) == (2, 4)
