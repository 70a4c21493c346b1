"""The floor of the digits: the matrix products of a step and the fused Adam, no more.

No loss, no activations, no autograd, no data: for each batch the three products of
each layer (two for the first), into memory that is there already, and one call of the
fused Adam over all weights. Whatever trains this network has at least this to do.
"""

import itertools

import torch

from contenders.shared import asked_for, serve
from contenders.workloads import SIZES

RATE = 1e-12
"""So small that the weights stay what they are, however long this runs."""

job = asked_for()
torch.manual_seed(0)
torch.set_grad_enabled(False)
batch = job.batch
pairs = list(itertools.pairwise(SIZES))
weights = [torch.randn(i, o) * 0.01 for i, o in pairs]
weights += [torch.zeros(o) for _, o in pairs]
gradients = [torch.full_like(w, 1e-3) for w in weights]
first = [torch.zeros_like(w) for w in weights]
second = [torch.zeros_like(w) for w in weights]
counts = [torch.ones(()) for _ in weights]
values = [torch.randn(batch, size) for size in SIZES]
backward = [torch.randn(batch, size) for size in SIZES]


def epoch() -> None:
    for _ in range(50_000 // batch):
        for layer in range(len(pairs)):
            torch.mm(values[layer], weights[layer], out=values[layer + 1])
        for layer in reversed(range(len(pairs))):
            torch.mm(values[layer].T, backward[layer + 1], out=gradients[layer])
            if layer:
                torch.mm(backward[layer + 1], weights[layer].T, out=backward[layer])
        torch._fused_adam_(
            weights, gradients, first, second, [], counts,
            lr=RATE, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-7,
            amsgrad=False, maximize=False,
        )  # fmt: skip


serve(epoch)
