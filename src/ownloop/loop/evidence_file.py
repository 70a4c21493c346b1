"""What is kept of a step that went wrong, as a checkpoint of its own kind."""

import os
import sys
from typing import Any

import keras
import numpy as np
import optree

from ownloop.checkpoints import Checkpoint, Entry, Store
from ownloop.guards import Evidence, Kept, Where
from ownloop.loop.script import module_of_this_process, script_of_this_process
from ownloop.resume.plain import pack, put_back, set_apart, unpack

KEPT_EVIDENCE = 10
"""Each holds a whole state; a run that skips a hundred steps needs no hundred."""


def keep(evidence: Evidence, store: Store) -> None:
    """Keeps a step that went wrong, with the first and the latest of the others."""
    checkpoint = to_checkpoint(evidence)
    steps = [store.meta(name)["step"] for name in store.names()]
    # A run that is continued meets those again that were pruned, too.
    if checkpoint.step > max(steps, default=-1):
        store.commit(checkpoint)
        # The first one, since others may follow from it, and the latest.
        first, *others = store.names()
        store.prune([first, *others[1 - KEPT_EVIDENCE :]])


def to_checkpoint(evidence: Evidence) -> Checkpoint:
    """Returns the step's batch, the state before it, and what was seen."""
    leaves: list[Any] = [] if evidence.batch is None else _leaves(evidence.batch)
    tensors = (
        {
            f"batch/{i}": Entry(np.asarray(leaf), "batch")
            for i, leaf in enumerate(leaves)
        }
        | {
            f"state/{i}": Entry(kept.value, "state", kept.path)
            for i, kept in enumerate(evidence.state)
        }
        | {
            f"random/{i}": Entry(array, "random")
            for i, array in enumerate(evidence.random)
        }
    )
    where = evidence.where
    logged = set_apart(pack(evidence.logged), tensors)
    meta = {
        "epoch": where.epoch,
        "pass": where.pass_name,
        "batch": where.batch,
        "step": where.step,
        "cause": evidence.cause,
        "losses": list(evidence.losses),
        "spoilt": [spoilt.path for spoilt in evidence.spoilt],
        "logged": logged,
        # What `ownloop replay` runs once more.
        "script": script_of_this_process(),
        "module": module_of_this_process(),
        "words": sys.argv[1:],
        "directory": os.getcwd(),
        "backend": keras.backend.backend(),
    }
    return Checkpoint(step=where.step, tensors=tensors, meta=meta)


def from_checkpoint(
    checkpoint: Checkpoint, structure: optree.PyTreeSpec | None
) -> Evidence:
    """Returns what is needed to replay the step.

    Args:
        checkpoint: What was kept.
        structure: How the leaves make up a batch; None for a step without data.
    """
    meta = checkpoint.meta
    leaves = [entry.array for entry in _numbered(checkpoint, "batch")]
    state = _numbered(checkpoint, "state")
    return Evidence(
        where=Where(meta["step"], meta["epoch"], meta["pass"], meta["batch"]),
        batch=None if structure is None else structure.unflatten(leaves),
        logged=unpack(put_back(meta["logged"], checkpoint.tensors)),
        losses=tuple(meta["losses"]),
        state=tuple(Kept(entry.path, entry.array) for entry in state),
        spoilt=(),
        random=tuple(entry.array for entry in _numbered(checkpoint, "random")),
    )


def _numbered(checkpoint: Checkpoint, word: str) -> list[Entry]:
    tensors = checkpoint.tensors
    count = sum(name.startswith(f"{word}/") for name in tensors)
    return [tensors[f"{word}/{i}"] for i in range(count)]


def _leaves(batch: Any) -> list[Any]:
    leaves: list[Any] = optree.tree_leaves(batch)
    return leaves
