"""A hand-written PyTorch loop with the fused Adam; data in memory, batches by index."""

import itertools

import torch

from contenders.shared import BATCH, RATE, SIZES, digits, serve

x, y = (torch.from_numpy(array) for array in digits())
y = y.long()
torch.manual_seed(0)
layers: list[torch.nn.Module] = []
for inputs, outputs in itertools.pairwise(SIZES):
    layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
network = torch.nn.Sequential(*layers[:-1])
optimizer = torch.optim.Adam(network.parameters(), RATE, eps=1e-7, fused=True)
loss_fn = torch.nn.CrossEntropyLoss()


def epoch() -> None:
    losses, correct = [], torch.zeros((), dtype=torch.int64)
    for rows in torch.randperm(len(x)).split(BATCH):
        images, labels = x[rows], y[rows]
        optimizer.zero_grad()
        logits = network(images)
        loss = loss_fn(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        correct += (logits.argmax(1) == labels).sum()
    torch.stack(losses).tolist()
    int(correct)


serve(epoch)
