"""A transformer that learns to write like Shakespeare, character by character.

The gradients are clipped by the norm of all of them together, and the rate warms up
before it decays; both are logged for every step, while `fit` clips where nobody sees
how often. What was learnt is measured in bits per character, on sonnets kept back.

Vaswani et al., 2017, https://arxiv.org/abs/1706.03762
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import ownloop as ol

LENGTH, WIDTH, WARM_UP = 32, 48, 100
text = (Path(__file__).parent / "text" / "sonnets.txt").read_text()
letters = sorted(set(text))
codes = np.array([letters.index(letter) for letter in text])
known, kept = codes[:-2500], codes[-2500:]  # of 38 sonnets, four


def pieces(codes):
    """Returns all pieces of a text, and the same pieces one character later."""
    both = np.lib.stride_tricks.sliding_window_view(codes, LENGTH + 1)
    return both[:, :-1], both[:, 1:]


train = ol.Batches(pieces(known), batch_size=16, shuffle=True, seed=1)

keras.utils.set_random_seed(1)
characters = keras.Input((LENGTH,), dtype="int32")
places = ops.cumsum(ops.ones_like(characters), axis=1) - 1
x = layers.Embedding(len(letters), WIDTH)(characters)
x = x + layers.Embedding(LENGTH, WIDTH)(places)
for _ in range(2):
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(4, WIDTH // 4)(y, y, use_causal_mask=True)
    y = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
    x = x + layers.Dense(WIDTH)(y)
logits = layers.Dense(len(letters))(layers.LayerNormalization()(x))
model = keras.Model(characters, logits)

optimizer = keras.optimizers.AdamW(weight_decay=0.1)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_step(before, after):
    with ol.GradientTape() as tape:
        loss = loss_fn(after, model(before, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    norm = ops.sqrt(sum(ops.sum(g**2) for g in gradients))
    clipped = [g * ops.minimum(1.0, 1.0 / norm) for g in gradients]
    part = (ops.cast(optimizer.iterations, "float32") + 1) / WARM_UP
    rate = 4e-3 * ops.minimum(part, ops.rsqrt(part))  # up a line, down the root
    optimizer.learning_rate.assign(rate)
    optimizer.apply(clipped, model.trainable_variables)
    return {"loss": loss, "norm": norm, "rate": rate}


loop = ol.Loop(model=model, optimizer=optimizer)


def write(start, length, warmth=0.7):
    """Goes on from a text; the warmer, the more daring."""
    random, written = np.random.default_rng(1), list(start)
    for _ in range(length):
        logits = model.predict_on_batch(np.array([written[-LENGTH:]]))[0, -1]
        odds = np.exp((logits - logits.max()) / warmth)
        written.append(random.choice(len(letters), p=odds / odds.sum()))
    return "".join(letters[code] for code in written)


def main():
    for epoch in loop.epochs(8):
        seen = epoch.train(train_step, train, steps=100).run()
        print(f"step {loop.step}: loss {seen.loss:.3f}, norm {seen.norm:.2f}")
    before, after = (part[::LENGTH] for part in pieces(kept))
    bits = float(loss_fn(after, model.predict(before, verbose=0))) / np.log(2)
    counts = np.bincount(known, minlength=len(letters)) + 1
    guessed = float(-np.log2(counts / counts.sum())[kept].mean())
    print(f"bits per character: {bits:.2f}; by the letters' frequencies: {guessed:.2f}")
    print(write(kept[:LENGTH], 300))
    return {"bits": float(bits), "guessed": guessed}


if __name__ == "__main__":
    main()
