"""Gradient accumulation: large batches from micro-batches that fit into memory.

Gradients are summed over micro-batches until 64 examples are seen, then applied once.
`fit` accumulates too, but averages averages: a short micro-batch weighs too much, and
what an epoch leaves over waits for the next. Here each example weighs the same, and a
twin that gets each 64 in one piece ends with the same weights.

Ott et al., 2018, Scaling Neural Machine Translation, https://arxiv.org/abs/1806.00187
"""

import keras
from keras import ops
from sklearn.datasets import load_digits

import ownloop as ol

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
train = ol.Batches((x[:1437], y[:1437]), batch_size=16, shuffle=True, seed=1)
whole = ol.Batches((x[:1437], y[:1437]), batch_size=64, shuffle=True, seed=1)


def make_model():
    keras.utils.set_random_seed(1)
    relu = [keras.layers.Dense(256, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.layers.Input((64,)), *relu, keras.layers.Dense(10)])


model, twin = make_model(), make_model()
optimizer, twin_optimizer = (keras.optimizers.SGD(0.05, 0.9) for _ in range(2))
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
sums = [keras.Variable(0 * v, trainable=False) for v in model.trainable_variables]
seen = keras.Variable(0.0, trainable=False)


def train_step(x, y):
    with ol.GradientTape() as tape:
        # The sum, not the mean: micro-batches of any size then add up.
        loss = loss_fn(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    for total, gradient in zip(sums, gradients, strict=True):
        total.assign_add(gradient)
    seen.assign_add(x.shape[0])
    ol.cond(seen >= 64, update)
    return loss / x.shape[0]


def update():
    """Applies the mean gradient of all examples since the last update."""
    optimizer.apply([total / seen for total in sums], model.trainable_variables)
    for variable in (*sums, seen):
        variable.assign(ops.zeros_like(variable.value))


def finish_step():
    ol.cond(seen > 0, update)
    return {"left": seen}


def whole_step(x, y):
    with ol.GradientTape() as tape:
        loss = loss_fn(y, twin(x, training=True)) / x.shape[0]
    gradients = tape.gradient(loss, twin.trainable_variables)
    twin_optimizer.apply(gradients, twin.trainable_variables)
    return loss


models = {"model": model, "twin": twin}
loop = ol.Loop(**models, optimizer=optimizer, twin_optimizer=twin_optimizer)


def main():
    for epoch in loop.epochs(5):
        epoch.train(train_step, train).run()
        epoch.step(finish_step, name="rest")  # an epoch's end is no full batch
        epoch.train(whole_step, whole, name="whole").run()
        print(f"loss {epoch['train_loss']:.6f}, of the twin {epoch['whole_loss']:.6f}")
    right = keras.metrics.sparse_categorical_accuracy(y[1437:], model(x[1437:]))
    accuracy = float(ops.mean(right))
    pairs = zip(model.get_weights(), twin.get_weights(), strict=True)
    difference = max(float(abs(ours - theirs).max()) for ours, theirs in pairs)
    print(f"accuracy {accuracy:.3f} on new digits; weights differ by {difference:.0e}")
    return {"accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
