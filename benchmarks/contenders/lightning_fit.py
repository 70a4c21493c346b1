"""PyTorch Lightning's Trainer with the same network and the fused Adam.

All that it can switch off is switched off: no logger, no bar, no checkpoints.
"""

import logging
import warnings

import lightning
import torch

from contenders.in_torch import Judged, tensors
from contenders.shared import asked_for, serve
from contenders.workloads import RATE

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
job = asked_for()
data = torch.utils.data.TensorDataset(*tensors(job))
loader = torch.utils.data.DataLoader(data, batch_size=job.batch, shuffle=True)


class Module(lightning.LightningModule):
    """The network, its loss, and what is kept of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.judged = Judged(job)
        self.losses: list[torch.Tensor] = []
        self.correct = torch.zeros((), dtype=torch.int64)

    def training_step(self, batch):  # type: ignore[no-untyped-def]
        loss, right = self.judged(*batch)
        self.losses.append(loss.detach())
        self.correct += right
        return loss

    def on_train_epoch_end(self) -> None:
        torch.stack(self.losses).tolist()
        int(self.correct)
        self.losses.clear()
        self.correct.zero_()

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        return torch.optim.Adam(self.parameters(), RATE, eps=1e-7, fused=True)


module = Module()
trainer = lightning.Trainer(
    accelerator="cpu",
    max_epochs=0,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    enable_checkpointing=False,
)


def epoch() -> None:
    trainer.fit_loop.max_epochs += 1
    trainer.fit(module, loader)


serve(epoch)
