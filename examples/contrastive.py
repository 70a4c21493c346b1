"""SimCLR: without any label, learn which two views were made of the same digit.

Each step makes two random views of every digit, and the encoder has to tell the other
view of the same digit from all views of the others. The target comes from the batch as
a whole and is made in the step; `fit` is given a target per example.

Chen et al. 2020, https://arxiv.org/abs/2002.05709
"""

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import ownloop as ol

keras.utils.set_random_seed(1)

images, labels = load_digits(return_X_y=True)
images = (images / 16).astype("float32")
train = ol.Batches(images[:1500], batch_size=150, shuffle=True, seed=1)

hidden = [keras.layers.Dense(256, "leaky_relu") for _ in range(2)]
encoder = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(64)])
# The loss sees the codes through a head, which is thrown away after training.
layers = keras.layers.Dense(64, "leaky_relu"), keras.layers.Dense(32)
head = keras.Sequential([keras.Input((64,)), *layers])
optimizer = keras.optimizers.Adam(1e-3)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
seeds = keras.random.SeedGenerator(1)
sides = np.linspace(-1, 1, 8)  # where pixels lie; the middle is 0
places = keras.ops.array([(x, y) for y in sides for x in sides], "float32")


def view(images, change):
    """The digits zoomed, slanted and moved by six numbers from -1 to 1 for each."""
    matrix = keras.ops.eye(2) + 0.25 * keras.ops.reshape(change[:, :4], (-1, 2, 2))
    source = keras.ops.einsum("nxy,py->npx", matrix, places)
    source += 0.25 * change[:, None, 4:]
    # Bilinear: the shares of the pixels around the place that each new one comes from.
    away = keras.ops.abs(source[:, :, None] - places)
    shares = keras.ops.prod(keras.ops.relu(1 - 3.5 * away), axis=3)
    return keras.ops.einsum("npq,nq->np", shares, images)


def train_step(images, changes=None):
    count = images.shape[0]
    if changes is None:
        changes = keras.random.uniform((count, 2, 6), -1, 1, seed=seeds)
    views = keras.ops.concatenate([view(images, changes[:, i]) for i in range(2)])
    partner = keras.ops.roll(keras.ops.arange(2 * count), count)
    variables = encoder.trainable_variables + head.trainable_variables
    with ol.GradientTape() as tape:
        codes = head(encoder(views, training=True), training=True)
        codes = keras.ops.normalize(codes, axis=1)
        alike = keras.ops.matmul(codes, keras.ops.transpose(codes)) / 0.5
        alike -= 1e9 * keras.ops.eye(2 * count)  # none is its own partner
        loss = loss_fn(partner, alike)
    optimizer.apply(tape.gradient(loss, variables), variables)
    return {"loss": loss}


loop = ol.Loop(encoder=encoder, head=head, optimizer=optimizer)


def probe(features):
    """How well a linear reader with 50 labels reads unseen digits; a mean of ten."""
    features = (features - features.mean(0)) / (features.std(0) + 1e-3)
    scores = []
    for some in np.split(np.arange(500), 10):
        reader = LogisticRegression(max_iter=1000).fit(features[some], labels[some])
        scores.append(reader.score(features[1500:], labels[1500:]))
    return float(np.mean(scores))


def main():
    learnt = {
        "pixels": probe(images),
        "untrained": probe(encoder.predict(images, verbose=0)),
    }
    for epoch in loop.epochs(3):
        print(epoch, epoch.train(train_step, train, steps=200).run())
    learnt["contrastive"] = probe(encoder.predict(images, verbose=0))
    print("Accuracy of a linear reader on 50 labels:", learnt)
    return learnt


if __name__ == "__main__":
    main()
