"""A folder becomes a checkpoint again, or is refused; nothing lies between.

Owns the order in which a folder is looked at: what is in it, the manifest, the sizes,
and only then the content. So a hostile folder makes us read no more than its files hold
and open no path but the three that we name. No code is ever run: there is no pickle.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ownloop.checkpoints import dtypes, exact_json, manifest
from ownloop.checkpoints.content import Checkpoint, Entry
from ownloop.checkpoints.disk import AbstractDisk, Item
from ownloop.checkpoints.layout import FileLayout, arrange
from ownloop.checkpoints.manifest import FILES, MANIFEST, META, STATE, Manifest
from ownloop.checkpoints.refusal import RefusedError


def read_manifest(
    disk: AbstractDisk, folder: Path, *, run: str | None, name: str
) -> Manifest:
    """Returns the manifest; checks all but the content of the two large files.

    Args:
        disk: Where the folder is.
        folder: The checkpoint's folder, which must be no link.
        run: The run that it must be of; None takes any.
        name: The name that the checkpoint must have.

    Raises:
        RefusedError: Something is not as it was committed.
        OSError: The disk did not give it.
    """
    sizes = _sizes(disk.list(folder))
    if sizes[MANIFEST] > manifest.SIZE_LIMIT:
        raise RefusedError(
            f"{MANIFEST} has {sizes[MANIFEST]} bytes, more than {manifest.SIZE_LIMIT}"
        )
    found = manifest.decode(disk.read(folder / MANIFEST, sizes[MANIFEST]))
    if run is not None and found.run != run:
        raise RefusedError(f"{MANIFEST} is of another run, {found.run!r:.80}")
    if found.name != name:
        raise RefusedError(f"{MANIFEST} is of another checkpoint, {found.name}")
    for file, seal in found.files.items():
        if sizes[file] != seal.bytes:
            raise RefusedError(
                f"{file} has {sizes[file]} bytes instead of {seal.bytes}"
            )
    return found


def read_meta(disk: AbstractDisk, folder: Path, found: Manifest) -> dict[str, Any]:
    """Returns the words and numbers of a checkpoint, verified.

    Raises:
        RefusedError: They are not as they were committed.
        OSError: The disk did not give them.
    """
    text = _read_sealed(disk, folder, found, META)
    try:
        meta = exact_json.decode(text)
    except ValueError as error:
        raise RefusedError(f"{META} cannot be read: {error}") from None
    if not isinstance(meta, dict) or not exact_json.is_exact(text, meta):
        raise RefusedError(f"{META} is not as ownloop writes it")
    return meta


def read_checkpoint(disk: AbstractDisk, folder: Path, found: Manifest) -> Checkpoint:
    """Returns the whole checkpoint, verified. Its arrays share one piece of memory.

    Raises:
        RefusedError: It is not as it was committed.
        OSError: The disk did not give it.
    """
    layout = _layout(found)
    kinds = {name: _dtype(name, spec.dtype) for name, spec in found.tensors.items()}
    meta = read_meta(disk, folder, found)
    content = _read_sealed(disk, folder, found, STATE)
    if not content.startswith(layout.header):
        raise RefusedError(f"{STATE} has not the header that {MANIFEST} leads to")
    tensors = {}
    for name, spec in found.tensors.items():
        try:
            array = dtypes.from_bytes(
                content, layout.offsets[name], kinds[name], spec.shape
            )
        except ValueError as error:
            raise RefusedError(f"{STATE} has no {name!r:.80}: {error}") from None
        tensors[name] = Entry(array, spec.role, spec.path)
    return Checkpoint(found.step, tensors, meta)


def _sizes(items: Collection[Item]) -> dict[str, int]:
    """Returns the sizes of the three files, which must be all that there is."""
    kinds = {item.name: item.kind for item in items}
    for name in FILES:
        if name not in kinds:
            raise RefusedError(f"{name} is missing")
    for name, kind in kinds.items():
        if name not in FILES:
            raise RefusedError(f"{name!r:.80} does not belong there")
        if kind != "file":
            raise RefusedError(f"{name} is no file but a folder, a link or a device")
    return {item.name: item.bytes for item in items}


def _layout(found: Manifest) -> FileLayout:
    try:
        layout = arrange(found.tensors)
    except ValueError as error:
        raise RefusedError(
            f"{MANIFEST} describes no safetensors file: {error}"
        ) from None
    if layout.size != found.files[STATE].bytes:
        raise RefusedError(
            f"{MANIFEST} describes arrays of {layout.size} bytes, and {STATE} has "
            f"{found.files[STATE].bytes}"
        )
    return layout


def _dtype(name: str, word: str) -> Any:
    dtype = dtypes.dtype_of(word)
    if dtype is None:
        raise RefusedError(
            f"{name!r:.80} is of dtype {word}, which NumPy knows by the package "
            "ml_dtypes only, and that is not installed",
            "Install it: pip install ml_dtypes.",
        )
    return dtype


def _read_sealed(
    disk: AbstractDisk, folder: Path, found: Manifest, file: str
) -> bytearray:
    seal = found.files[file]
    content = disk.read(folder / file, seal.bytes)
    if hashlib.sha256(content).hexdigest() != seal.sha256:
        raise RefusedError(f"{file} is altered: its SHA-256 differs")
    return content
