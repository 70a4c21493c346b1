"""PyTorch Lightning's Trainer with the same network and the fused Adam.

All that it can switch off is switched off: no logger, no bar, no checkpoints. One `fit`
runs all epochs, and an epoch is timed from its first batch to its last: what stands
before and after them is not counted.
"""

import logging
import sys
import time
import warnings

import lightning
import torch

from contenders.in_torch import Judged, tensors
from contenders.shared import asked_for
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

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        return torch.optim.Adam(self.parameters(), RATE, eps=1e-7, fused=True)


class Asked(lightning.Callback):
    """Waits before each epoch until it is asked for, and prints its seconds."""

    def on_train_epoch_start(self, trainer, module):  # type: ignore[no-untyped-def]
        trainer.should_stop = not sys.stdin.readline()
        self.begin = time.perf_counter()

    def on_train_epoch_end(self, trainer, module):  # type: ignore[no-untyped-def]
        torch.stack(module.losses).tolist()
        int(module.correct)
        module.losses.clear()
        module.correct.zero_()
        print(f"seconds {time.perf_counter() - self.begin:.6f}", flush=True)


lightning.Trainer(
    accelerator="cpu",
    max_epochs=-1,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    enable_checkpointing=False,
    callbacks=[Asked()],
).fit(Module(), loader)
