"""What lies in a run's folder besides checkpoints and the history: lock, log, names.

    Layout    where everything is, and run.json, which says whose it is
    RunLock   one process at a time
    Holder    which process that is, by `find_holder`
    Log       log.txt, which can be cut back to what a checkpoint is about;
              `verify_log` only looks
    ReplayRequest   which step a process is asked to replay

This room knows the file system only: no loop, no Keras, no framework.
"""

from ownloop.folder.holder import Holder, find_holder
from ownloop.folder.layout import Layout
from ownloop.folder.lock import RunLock
from ownloop.folder.log import Log, verify_log
from ownloop.folder.request import ReplayRequest

__all__ = [
    "Holder",
    "Layout",
    "Log",
    "ReplayRequest",
    "RunLock",
    "find_holder",
    "verify_log",
]
