"""What is kept of a step that went wrong, as a checkpoint of its own kind."""

from typing import Any

import numpy as np
import optree

from ownloop.checkpoints import Checkpoint, Entry
from ownloop.guards import Evidence
from ownloop.resume.plain import pack


def to_checkpoint(evidence: Evidence) -> Checkpoint:
    """Returns the step's batch, the state before it, and what was seen."""
    leaves: list[Any] = [] if evidence.batch is None else _leaves(evidence.batch)
    tensors = {
        f"batch/{i}": Entry(np.asarray(leaf), "batch") for i, leaf in enumerate(leaves)
    } | {
        f"state/{i}": Entry(kept.value, "state", kept.path)
        for i, kept in enumerate(evidence.state)
    }
    where = evidence.where
    meta = {
        "epoch": where.epoch,
        "pass": where.pass_name,
        "batch": where.batch,
        "step": where.step,
        "cause": evidence.cause,
        "losses": list(evidence.losses),
        "spoilt": [spoilt.path for spoilt in evidence.spoilt],
        "logged": pack(evidence.logged),
    }
    return Checkpoint(step=where.step, tensors=tensors, meta=meta)


def _leaves(batch: Any) -> list[Any]:
    leaves: list[Any] = optree.tree_leaves(batch)
    return leaves
