"""What is trained: six jobs, each with its data, its network in Keras and its loss.

    digits        an MLP of 567,434 weights on the digits, batches of 32
    digits-512    the same in batches of 512
    cnn           two convolutions and Dropout
    gru           a recurrent layer that reads the rows of a digit
    transformer   four layers of causal attention on characters
    autoencoder   takes noise away; its loss weighs the ink

Keras is imported by those functions only that build with it, so that a contender of
plain PyTorch pays for nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ownloop import datasets

RATE = 1e-4
SIZES = (784, 512, 256, 128, 10)
AUTOENCODER = (784, 256, 64, 256, 784)
CHARACTERS = Path(__file__).parents[2] / "examples" / "text" / "sonnets.txt"
WIDTH, HEADS, LAYERS, LENGTH = 64, 4, 4, 64

Arrays = tuple[np.ndarray, np.ndarray]


def digits(examples: int, shape: tuple[int, ...] = (784,)) -> Arrays:
    """Returns digits between 0 and 1, float32, and their labels, int32."""
    (x, y), _ = datasets.mnist()
    x = x.reshape(len(x), *shape).astype("float32") / 255
    return x[:examples], y[:examples].astype("int32")


def characters() -> Arrays:
    """Returns windows of text and the characters that follow each, int32."""
    text = CHARACTERS.read_text()
    codes = np.unique(list(text), return_inverse=True)[1].astype("int32")
    windows = np.lib.stride_tricks.sliding_window_view(codes, LENGTH + 1)
    windows = windows[:: max(1, len(windows) // 1600)][:1600]
    return np.ascontiguousarray(windows[:, :-1]), np.ascontiguousarray(windows[:, 1:])


def vocabulary() -> int:
    """Returns how many different characters the text has."""
    return len(set(CHARACTERS.read_text()))


def noisy() -> Arrays:
    """Returns digits with noise, and the digits."""
    clean, _ = digits(20_000)
    noise = np.random.default_rng(0).normal(0, 0.3, clean.shape).astype("float32")
    return np.clip(clean + noise, 0, 1), clean


def mlp() -> Any:
    from keras import Input, Model, layers

    hidden = inputs = Input(SIZES[:1])
    for units in SIZES[1:-1]:
        hidden = layers.Dense(units, activation="relu")(hidden)
    return Model(inputs, layers.Dense(SIZES[-1])(hidden))


def cnn() -> Any:
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25, seed=1),
            layers.Dense(10),
        ]
    )


def gru() -> Any:
    from keras import Input, Sequential, layers

    return Sequential([Input((28, 28)), layers.GRU(64), layers.Dense(10)])


def transformer() -> Any:
    from keras import Input, Model, layers

    class Places(layers.Layer):
        """Adds a learnt vector for each place in the window."""

        def build(self, shape: Any) -> None:
            self.vectors = self.add_weight(shape=shape[1:], initializer="uniform")

        def call(self, stream: Any) -> Any:
            return stream + self.vectors

    tokens = Input((LENGTH,), dtype="int32")
    stream = Places()(layers.Embedding(vocabulary(), WIDTH)(tokens))
    for _ in range(LAYERS):
        normal = layers.LayerNormalization(epsilon=1e-5)(stream)
        attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        stream = stream + attention(normal, normal, use_causal_mask=True)
        normal = layers.LayerNormalization(epsilon=1e-5)(stream)
        wide = layers.Dense(4 * WIDTH, activation="relu")(normal)
        stream = stream + layers.Dense(WIDTH)(wide)
    normal = layers.LayerNormalization(epsilon=1e-5)(stream)
    return Model(tokens, layers.Dense(vocabulary())(normal))


def autoencoder() -> Any:
    from keras import Input, Sequential, layers

    inner = [layers.Dense(units, activation="relu") for units in AUTOENCODER[1:-1]]
    last = layers.Dense(AUTOENCODER[-1], activation="sigmoid")
    return Sequential([Input(AUTOENCODER[:1]), *inner, last])


def classify() -> Callable[..., Any]:
    """Returns Keras' loss for labels and logits."""
    from keras.losses import SparseCategoricalCrossentropy

    return SparseCategoricalCrossentropy(from_logits=True)


def weigh_ink() -> Callable[..., Any]:
    """Returns a loss of one's own: squares, with more weight where there is ink."""
    from keras import ops

    def loss(clean: Any, restored: Any) -> Any:
        return ops.mean(ops.square(restored - clean) * (1 + 4 * clean))

    return loss


@dataclass(frozen=True)
class Workload:
    """One job. `examples`: how many make an epoch, in batches of `batch`."""

    name: str
    batch: int
    data: Callable[[], Arrays]
    network: Callable[[], Any]
    loss: Callable[[], Callable[..., Any]] = classify
    accuracy: bool = True

    def model(self) -> Any:
        """Returns the network in Keras, with weights drawn from a seed."""
        import keras

        keras.utils.set_random_seed(0)
        return self.network()


WORKLOADS = {
    job.name: job
    for job in (
        Workload("digits", 32, lambda: digits(50_000), mlp),
        Workload("digits-512", 512, lambda: digits(50_000), mlp),
        Workload("cnn", 32, lambda: digits(4_800, (28, 28, 1)), cnn),
        Workload("gru", 32, lambda: digits(9_600, (28, 28)), gru),
        Workload("transformer", 32, characters, transformer),
        Workload("autoencoder", 64, noisy, autoencoder, weigh_ink, accuracy=False),
    )
}
