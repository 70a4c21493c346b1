"""Loop 1: the handwritten digits, as the README writes them."""

import keras
import numpy as np
import pytest

import ownloop as ol


def test_the_textbook_loop_learns_and_remembers(digits, make_model, tmp_path, capsys):
    x, y = digits
    train = ol.Batches((x[:500], y[:500]), batch_size=32, shuffle=True, seed=1)
    val = ol.Batches((x[500:], y[500:]), batch_size=50)
    model = make_model()
    optimizer = keras.optimizers.Adam(3e-2)
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    def train_step(x, y):
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        accuracy.update_state(y, logits)
        return {"loss": loss, "accuracy": accuracy}

    def val_step(x, y):
        logits = model(x, training=False)
        accuracy.update_state(y, logits)
        return {"loss": loss_fn(y, logits), "accuracy": accuracy}

    loop = ol.Loop(model=model, optimizer=optimizer, observers=[])
    for epoch in loop.epochs(3):
        print("Epoch", epoch.number)
        for chunk in epoch.train(train_step, train, every=6):
            print(
                f"step {chunk.step}: loss {chunk.last.loss:.4f}, "
                f"accuracy {chunk.mean.accuracy:.4f}"
            )
        result = epoch.validate(val_step, val)
        print("validation accuracy", result.accuracy)
    loop.history.plot(tmp_path / "history.png")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1"
    assert [line.split(":")[0] for line in lines[1:4]] == [
        "step 6",
        "step 12",
        "step 16",
    ]
    assert len(lines) == 3 * 5
    # 15 batches of 32 and one of 20; the short one is trained on, and counts as 20.
    assert loop.step == 3 * 16
    losses = loop.history.steps["train_loss"]
    sizes = [32] * 15 + [20]
    expected = [
        np.average(losses[i * 16 : i * 16 + 16], weights=sizes) for i in range(3)
    ]
    np.testing.assert_allclose(loop.history["train_loss"], expected, rtol=1e-9)
    assert list(loop.history.to_dict()) == [
        "epoch",
        "step",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
    ]
    assert loop.history["train_accuracy"][-1] > 0.7
    assert loop.history["val_accuracy"][-1] > 0.5
    assert isinstance(chunk.mean.accuracy, float)
    assert isinstance(chunk.last.accuracy, float)
    assert loop.compilations == {"train_step": 2, "val_step": 1}
    # The objects are the truth: what the history says can be computed from them.
    logits = keras.ops.convert_to_numpy(model.predict(x[500:], verbose=0))
    accuracy_now = (logits.argmax(axis=1) == y[500:]).mean()
    assert result.accuracy == pytest.approx(accuracy_now)
    assert (tmp_path / "history.png").stat().st_size > 1000
