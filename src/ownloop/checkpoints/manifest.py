"""The manifest: what a checkpoint must be, byte for byte; and its hash of itself.

Owns the file MANIFEST.json and what is refused in one. An accident that changes a file
of the checkpoint does not change the manifest so that both still fit. It is no
signature: whoever wants to can write a checkpoint of their own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from ownloop.checkpoints import exact_json, names
from ownloop.checkpoints.refusal import RefusedError

MANIFEST = "MANIFEST.json"
STATE = "state.safetensors"
META = "meta.json"
FILES = (STATE, META, MANIFEST)

FORMAT = "ownloop checkpoint"
VERSION = 1

SIZE_LIMIT = 8 * 2**20
"""The most bytes of a MANIFEST.json, which has room for some 50,000 arrays."""

_SHA256_DIGITS = 64
_MOST_AXES = 64  # NumPy's own limit


@final
@dataclass(frozen=True)
class TensorSpec:
    """An array without its values; `dtype` is a word of safetensors."""

    dtype: str
    shape: tuple[int, ...]
    role: str
    path: str


@final
@dataclass(frozen=True)
class Seal:
    """The size of a file and the SHA-256 of its content, in hexadecimal digits."""

    bytes: int
    sha256: str


@final
@dataclass(frozen=True)
class Manifest:
    """What MANIFEST.json says.

    Attributes:
        run: The identity of the run.
        name: The name of the checkpoint's folder.
        step: The step in that name.
        parent: The name of the checkpoint before it, if there was one.
        tensors: The arrays without their values, by name, in the order of the
            checkpoint.
        files: The sizes and hashes of the two other files, STATE and META.
    """

    run: str
    name: str
    step: int
    parent: str | None
    tensors: Mapping[str, TensorSpec]
    files: Mapping[str, Seal]


def encode(manifest: Manifest) -> bytes:
    """Returns the content of MANIFEST.json.

    Its last field is the SHA-256 of what the text would be without it.

    Example:
        >>> text = encode(Manifest("run-1", "step-3", 3, None, {}, {}))
        >>> text[:44]
        b'{"format":"ownloop checkpoint","version":1,"'
    """
    body: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "run": manifest.run,
        "name": manifest.name,
        "step": manifest.step,
        "parent": manifest.parent,
        "files": {
            name: {"bytes": seal.bytes, "sha256": seal.sha256}
            for name, seal in manifest.files.items()
        },
        "tensors": {
            name: {
                "dtype": spec.dtype,
                "shape": spec.shape,
                "role": spec.role,
                "path": spec.path,
            }
            for name, spec in manifest.tensors.items()
        },
    }
    text = exact_json.write(body)
    digest = hashlib.sha256(text).hexdigest()
    return text.removesuffix(b"}\n") + b',"sha256":"%s"}\n' % digest.encode()


def decode(text: bytes | bytearray) -> Manifest:
    """Returns the manifest that a text holds, if it is one that `encode` wrote.

    Raises:
        RefusedError: It is no such text, or it is of a later version.
    """
    try:
        body = exact_json.decode(text)
    except ValueError as error:
        raise RefusedError(f"{MANIFEST} cannot be read: {error}") from None
    _check_version(body)
    try:
        manifest = Manifest(
            run=body["run"],
            name=body["name"],
            step=body["step"],
            parent=body["parent"],
            tensors={
                name: TensorSpec(**spec | {"shape": tuple(spec["shape"])})
                for name, spec in body["tensors"].items()
            },
            files={name: Seal(**seal) for name, seal in body["files"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RefusedError(
            f"{MANIFEST} has not the fields of one: {error!s:.80}"
        ) from None
    _check(manifest)
    if encode(manifest) != text:
        raise RefusedError(f"{MANIFEST} is altered: its hash of itself differs")
    return manifest


def _check_version(body: Any) -> None:
    """Refuses another format or version, by the two fields that every one must have."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise RefusedError(f"{MANIFEST} is of no checkpoint of ownloop")
    version: Any = body.get("version")
    if not _is_count(version) or version < 1:
        raise RefusedError(f"{MANIFEST} is of format version {version!r:.40}")
    if version > VERSION:
        raise RefusedError(
            f"{MANIFEST} is of format version {version!r:.40}, and this ownloop reads "
            f"{VERSION}",
            "Read it with the ownloop that wrote it, or a later one.",
        )


def _check(manifest: Manifest) -> None:
    """Refuses values that no manifest of ours can have."""
    position = names.parse(manifest.name) if isinstance(manifest.name, str) else None
    sound = (
        isinstance(manifest.run, str)
        and position is not None
        and _is_count(manifest.step)
        and manifest.step == position.step
        and isinstance(manifest.parent, str | None)
    )
    if not sound:
        raise RefusedError(f"{MANIFEST} has a run, name or step that cannot be")
    if set(manifest.files) != {STATE, META}:
        raise RefusedError(f"{MANIFEST} lists the files {sorted(manifest.files)!r:.80}")
    for name, seal in manifest.files.items():
        if not (_is_count(seal.bytes) and _is_hash(seal.sha256)):
            raise RefusedError(
                f"{MANIFEST} has a size or hash of {name} that cannot be"
            )
    for name, spec in manifest.tensors.items():
        sound = (
            all(isinstance(word, str) for word in (spec.dtype, spec.role, spec.path))
            and len(spec.shape) <= _MOST_AXES
            and all(map(_is_count, spec.shape))
        )
        if not sound:
            raise RefusedError(f"{MANIFEST} describes {name!r:.80} as nothing can be")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_hash(value: Any) -> bool:
    digits = isinstance(value, str) and set(value) <= set("0123456789abcdef")
    return digits and len(value) == _SHA256_DIGITS
