"""What a run gave in the end, as words that are equal where all bits are."""

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import keras
import numpy as np

from ownloop import backends
from ownloop.checkpoints import Store
from ownloop.folder import Layout

_TABLES = ("names", "steps", "looks", "epochs")


@final
@dataclass(frozen=True)
class Digests:
    """What a run gave.

    Attributes:
        items: by name, a digest or the value itself.
        notices: what the loop said on its way, which is no part of the result.
    """

    items: Mapping[str, str]
    notices: tuple[str, ...] = ()


def array_digest(variable: keras.Variable) -> str:
    """Digest the bits of a variable."""
    return _digest(np.asarray(keras.ops.convert_to_numpy(variable.value)))


def generator_digests() -> dict[str, str]:
    """Digest the generators of random numbers."""
    framework = backends.current().read(()).random or ()
    return {
        "generator python": _digest(repr(random.getstate())),
        "generator numpy": _digest(repr(np.random.get_state(legacy=True))),
        "generator framework": _digest(repr([_digest(np.array(s)) for s in framework])),
    }


def end_digests(
    loop: Any,
    folder: Path,
    *,
    variables: Iterable[keras.Variable],
    listener: Any,
    own: Mapping[str, Any],
) -> Digests:
    """Digest all that a job has in the end.

    Args:
        loop: the job's.
        folder: the run's.
        variables: those that the job has the values of, in whichever process it ends.
        listener: an observer with a state, which has heard notices.
        own: by name, values of the job's own.
    """
    items = {f"variable {i} {v.path}": array_digest(v) for i, v in enumerate(variables)}
    items |= generator_digests()
    items |= {f"loop.memory {n}": repr(v) for n, v in loop.memory.items()}
    items |= {name: repr(value) for name, value in own.items()}
    items["skipped"] = repr(loop.skipped)
    items["observer"] = repr(listener.looks)
    items["position"] = repr((loop.step, loop.epoch, loop.stopped))
    # Whoever asks for them waits until the last one is written.
    loop._run.home.checkpoints()
    items |= file_digests(loop, folder)
    return Digests(items, tuple(listener.notices))


def file_digests(loop: Any, folder: Path) -> dict[str, str]:
    """Digest the history, in memory and on the disk, the log and the newest state."""
    layout = Layout(folder)
    kept = folder / "history.json"
    loop.history.to_json(kept)
    items = {
        "history": _digest(kept.read_bytes()),
        "log": _digest(layout.log.read_bytes()),
    }
    with closing(sqlite3.connect(f"file:{layout.history}?mode=ro", uri=True)) as reader:
        for table in _TABLES:
            rows = reader.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            items[f"history.db {table}"] = _digest(repr(rows))
    newest = Store(layout.checkpoints, run=layout.read_identity()).newest().checkpoint
    if newest is not None:
        items["checkpoint step"] = repr(newest.step)
        for name, entry in newest.tensors.items():
            items[f"checkpoint {name}"] = _digest(entry.array) + entry.role
        for name, value in newest.meta.items():
            items[f"checkpoint meta {name}"] = json.dumps(value, sort_keys=True)
    return items


def _digest(content: Any) -> str:
    if isinstance(content, np.ndarray):
        head = f"{content.dtype.name}{content.shape}".encode()
        content = head + np.ascontiguousarray(content).tobytes()
    if isinstance(content, str):
        content = content.encode()
    return hashlib.sha256(content).hexdigest()[:16]
