"""A hand-written loop with Lightning Fabric: its setup, its backward, its loader."""

import lightning
import torch

from contenders.in_torch import Judged, tensors
from contenders.shared import asked_for, serve
from contenders.workloads import RATE

job = asked_for()
fabric = lightning.Fabric(accelerator="cpu")
judged = Judged(job)
adam = torch.optim.Adam(judged.parameters(), RATE, eps=1e-7, fused=True)
judged, optimizer = fabric.setup(judged, adam)
data = torch.utils.data.TensorDataset(*tensors(job))
loader = fabric.setup_dataloaders(
    torch.utils.data.DataLoader(data, batch_size=job.batch, shuffle=True)
)


def epoch() -> None:
    losses, correct = [], torch.zeros((), dtype=torch.int64)
    for x, y in loader:
        optimizer.zero_grad()
        loss, right = judged(x, y)
        fabric.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
        correct += right
    torch.stack(losses).tolist()
    int(correct)


serve(epoch)
