"""A hand-written PyTorch loop with the fused Adam; data in memory, batches by index.

COMPILE=1 puts `torch.compile` around the network with its loss; with LOOK=1 each loss
is read after its step.
"""

import os

import torch

from contenders.in_torch import Judged, tensors
from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
x, y = tensors(job)
judged = Judged(job)
optimizer = torch.optim.Adam(judged.parameters(), RATE, eps=1e-7, fused=True)
forward = torch.compile(judged) if os.environ.get("COMPILE") else judged
looks = bool(os.environ.get("LOOK"))


def epoch() -> None:
    losses, correct = [], torch.zeros((), dtype=torch.int64)
    for rows in torch.randperm(len(x)).split(job.batch):
        optimizer.zero_grad()
        loss, right = forward(x[rows], y[rows])
        loss.backward()
        optimizer.step()
        if looks:
            loss.item()
        losses.append(loss.detach())
        correct += right
    torch.stack(losses).tolist()
    int(correct)


serve(epoch)
