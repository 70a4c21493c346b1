"""A checkpoint becomes three files in a folder, each of them durable.

Owns what is refused before anything is written, and the order of the files: the arrays,
the words, and last the manifest, which seals the other two. The hashes are taken while
the bytes pass by. No copy of the state is made, except of one array at a time where its
values are not in a row in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from ownloop.checkpoints import exact_json, manifest
from ownloop.checkpoints.content import Checkpoint, Entry
from ownloop.checkpoints.disk import AbstractDisk
from ownloop.checkpoints.dtypes import to_bytes, word_of
from ownloop.checkpoints.layout import FileLayout, arrange
from ownloop.checkpoints.manifest import Manifest, Seal, TensorSpec
from ownloop.errors import CheckpointError

META_LIMIT = 64 * 2**20
"""The most bytes of a meta.json."""

_PIECE_BYTES = 4 * 2**20


@final
@dataclass(frozen=True)
class Plan:
    """A checkpoint that can be written: all that might be refused was looked at.

    Attributes:
        checkpoint: What to write.
        specs: Its arrays without their values.
        layout: Where each array will lie in its file.
        meta: The content of meta.json.
    """

    checkpoint: Checkpoint
    specs: dict[str, TensorSpec]
    layout: FileLayout
    meta: bytes

    @property
    def size(self) -> int:
        """How many bytes the two large files have."""
        return self.layout.size + len(self.meta)


def plan(checkpoint: Checkpoint) -> Plan:
    """Returns how a checkpoint will be written; refuses what cannot be.

    Raises:
        CheckpointError: A step, a name, a dtype or a value of meta cannot be saved.
    """
    step = checkpoint.step
    if type(step) is not int or not 0 <= step < 10**18:
        raise CheckpointError(
            f"A checkpoint is of step {step!r}. Expected an int, at least 0 and less "
            "than 10**18. Count the steps from 0, and convert with int()."
        )
    specs = {name: _spec(name, entry) for name, entry in checkpoint.tensors.items()}
    try:
        layout = arrange(specs)
    except ValueError as error:
        raise CheckpointError(
            f"The arrays cannot be one safetensors file: {error}. Expected fewer "
            "arrays, or other names. Rename them, or put small ones together."
        ) from None
    meta = exact_json.encode(dict(checkpoint.meta), what="meta")
    if len(meta) > META_LIMIT:
        raise CheckpointError(
            f"meta takes {len(meta)} bytes. Expected at most {META_LIMIT}. Keep large "
            "things as arrays, or in files of their own."
        )
    return Plan(checkpoint, specs, layout, meta)


def write(
    disk: AbstractDisk,
    folder: Path,
    plan: Plan,
    *,
    run: str,
    name: str,
    parent: str | None,
) -> None:
    """Makes a folder and fills it; when this returns, all in it survives a power cut.

    The folder's own name does not yet: that is for whoever owns the folder above.

    Raises:
        CheckpointError: There are too many arrays for one manifest.
        OSError: The disk did not take it; a part may have been written.
    """
    disk.make_folder(folder)
    seals = {
        manifest.STATE: _write_file(disk, folder / manifest.STATE, _state(plan)),
        manifest.META: _write_file(disk, folder / manifest.META, [plan.meta]),
    }
    step = plan.checkpoint.step
    text = manifest.encode(Manifest(run, name, step, parent, plan.specs, seals))
    if len(text) > manifest.SIZE_LIMIT:
        raise CheckpointError(
            f"The manifest of {len(plan.specs)} arrays takes {len(text)} bytes. "
            f"Expected at most {manifest.SIZE_LIMIT}. Put small arrays together."
        )
    _write_file(disk, folder / manifest.MANIFEST, [text])
    disk.sync_folder(folder)


def _spec(name: str, entry: Entry) -> TensorSpec:
    array = entry.array
    if not isinstance(name, str):
        raise CheckpointError(
            f"An array has the name {name!r}. Expected a string. Write str(name)."
        )
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise CheckpointError(
            f"{name!r} is of type {type(array).__name__}. Expected a NumPy array "
            "without a mask. Convert it with numpy.asarray."
        )
    word = word_of(array.dtype)
    if word is None:
        raise CheckpointError(
            f"{name!r} is an array of dtype {array.dtype}. Expected booleans, "
            "integers, floats of 8 to 64 bits or complex64, which safetensors knows. "
            "Convert it, for example into its bits by array.view('uint64')."
        )
    if not isinstance(entry.role, str) or not isinstance(entry.path, str):
        raise CheckpointError(
            f"{name!r} has the role {entry.role!r} and the path {entry.path!r}. "
            "Expected two strings. Write str() around them."
        )
    return TensorSpec(word, array.shape, entry.role, entry.path)


def _state(plan: Plan) -> Iterator[bytes | memoryview]:
    """Yields the bytes of state.safetensors from its beginning to its end."""
    yield plan.layout.header
    for name in plan.layout.offsets:
        values = to_bytes(plan.checkpoint.tensors[name].array)
        for start in range(0, len(values), _PIECE_BYTES):
            yield values[start : start + _PIECE_BYTES]


def _write_file(
    disk: AbstractDisk, path: Path, pieces: Iterable[bytes | memoryview]
) -> Seal:
    digest = hashlib.sha256()
    size = 0
    file = disk.create(path)
    try:
        for piece in pieces:
            disk.append(file, memoryview(piece))
            digest.update(piece)
            size += len(piece)
        disk.sync(file)
    finally:
        disk.close(file)
    return Seal(size, digest.hexdigest())
