"""Small checkpoints, and whether two have the same bits."""

import tempfile
from pathlib import Path

import numpy as np

from ownloop.checkpoints import Checkpoint, Entry, Keep, Store, names_to_keep

RUN = "run-1"


def sample(step: int, *, values: int = 12) -> Checkpoint:
    """Give a checkpoint that differs from that of any other step, in every file."""
    generator = np.random.default_rng(step)
    kernel = generator.normal(size=values).astype("float32")
    tensors = {
        "model/0": Entry(kernel, "trainable", "dense/kernel"),
        "seed/0": Entry(generator.integers(0, 2**31, 2, dtype=np.uint32), "seed"),
        "optimizer/0": Entry(np.array(step, np.int64), "optimizer", "iteration"),
    }
    return Checkpoint(step, tensors, {"epoch": step, "loss": step / 7})


def bits(checkpoint: Checkpoint | None) -> object:
    """Give something that is equal where all is, down to the last bit."""
    if checkpoint is None:
        return None
    tensors = [
        (name, e.array.dtype.str, e.array.shape, e.array.tobytes(), e.role, e.path)
        for name, e in checkpoint.tensors.items()
    ]
    return checkpoint.step, tensors, repr(checkpoint.meta)


def save(store: Store, step: int, *, last: int, values: int = 12) -> str:
    """Do what a loop does: commit, then prune."""
    name = store.commit(sample(step, values=values))
    store.prune(names_to_keep(store.names(), Keep(last=last)))
    return name


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """Give a folder to be deleted, in memory where there is one: fsync is slow."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
