"""PyTorch Ignite's Engine around a hand-written step with the fused Adam."""

import torch
from ignite.engine import Engine

from contenders.in_torch import Judged, tensors
from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
judged = Judged(job)
optimizer = torch.optim.Adam(judged.parameters(), RATE, eps=1e-7, fused=True)
data = torch.utils.data.TensorDataset(*tensors(job))
loader = torch.utils.data.DataLoader(data, batch_size=job.batch, shuffle=True)
losses: list[torch.Tensor] = []
correct = torch.zeros((), dtype=torch.int64)


def update(engine, batch):  # type: ignore[no-untyped-def]
    optimizer.zero_grad()
    loss, right = judged(*batch)
    loss.backward()
    optimizer.step()
    losses.append(loss.detach())
    correct.add_(right)


engine = Engine(update)


def epoch() -> None:
    engine.run(loader, max_epochs=1)
    torch.stack(losses).tolist()
    int(correct)
    losses.clear()
    correct.zero_()


serve(epoch)
