"""The networks of the workloads in plain PyTorch, and their losses."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from contenders.workloads import (
    AUTOENCODER,
    HEADS,
    LAYERS,
    LENGTH,
    SIZES,
    WIDTH,
    Workload,
    vocabulary,
)


def mlp(sizes: tuple[int, ...] = SIZES) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def autoencoder() -> nn.Module:
    return nn.Sequential(mlp(AUTOENCODER), nn.Sigmoid())


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28)),
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(5 * 5 * 32, 10),
    )


class Gru(nn.Module):
    """The rows of a digit through a recurrent layer; its last state decides."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(28, 64, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Block(nn.Module):
    """Causal attention, then two dense layers, each added to the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.LayerNorm(WIDTH)
        self.mix = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.wide = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.ReLU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, stream: Tensor) -> Tensor:
        mixed = self.mix(self.before(stream))
        q, k, v = mixed.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        stream = stream + self.out(mixed.transpose(1, 2).flatten(2))
        return stream + self.wide(stream)


class Transformer(nn.Module):
    """Characters in, a guess at each following character out."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary(), WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.05)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary()))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.tokens(x) + self.places))


def gru() -> nn.Module:
    return Gru()


def transformer() -> nn.Module:
    return Transformer()


def classify(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    loss = functional.cross_entropy(outputs.flatten(0, -2), y.flatten())
    return loss, (outputs.argmax(-1) == y).sum()


def weigh_ink(outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    loss = (torch.square(outputs - y) * (1 + 4 * y)).mean()
    return loss, torch.zeros((), dtype=torch.int64)


class Judged(nn.Module):
    """A workload's network with its loss: (x, y) -> loss, correct answers."""

    def __init__(self, job: Workload) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = globals()[job.network.__name__]()
        self.judge = globals()[job.loss.__name__]

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.judge(self.network(x.squeeze(-1) if x.ndim == 4 else x), y)


def tensors(job: Workload) -> tuple[Tensor, Tensor]:
    """Returns the data; labels as int64, which PyTorch wants."""
    x, y = map(torch.from_numpy, job.data())
    return x, y.long() if job.accuracy else y
