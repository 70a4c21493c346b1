"""Checkpoints: named arrays and a few words become files, and come back, bit for bit.

    Checkpoint, Entry  what is saved: a step, arrays by name, JSON values
    Store              one folder of checkpoints: commit, newest, load, prune, verify
    Newest, Verdict    what a look into the folder gives
    Keep               which ones to keep; `names_to_keep` is the choice itself
    holds              whether a dtype can be saved
    position_of        which of two checkpoints, by their names, is the later one
    Writer             the thread that writes one while the next steps run

This room knows NumPy, JSON and the file system; no framework, no Keras, no loop. It
promises: a checkpoint that is torn, foreign, altered or incomplete is never loaded, and
one for which `Store.commit` returned a name is never lost, whenever the power goes.
"""

from ownloop.checkpoints.content import Checkpoint, Entry
from ownloop.checkpoints.dtypes import holds
from ownloop.checkpoints.keeping import Keep, names_to_keep
from ownloop.checkpoints.names import parse as position_of
from ownloop.checkpoints.store import Newest, Store, Verdict
from ownloop.checkpoints.writer import Writer

__all__ = [
    "Checkpoint",
    "Entry",
    "Keep",
    "Newest",
    "Store",
    "Verdict",
    "Writer",
    "holds",
    "names_to_keep",
    "position_of",
]
