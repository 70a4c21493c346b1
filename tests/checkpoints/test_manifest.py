"""A manifest is the one that was written, or refused with a reason."""

import json

import pytest

from ownloop.checkpoints import manifest
from ownloop.checkpoints.manifest import Manifest, Seal, TensorSpec
from ownloop.checkpoints.refusal import RefusedError

SEAL = Seal(80, "0" * 64)
SOUND = Manifest(
    run="run-1",
    name="step-3.2",
    step=3,
    parent="step-3",
    tensors={
        "b": TensorSpec("F32", (2, 0), "trainable", "dense/kernel"),
        "a é": TensorSpec("BF16", (), "seed", ""),
    },
    files={manifest.STATE: SEAL, manifest.META: SEAL},
)


def test_it_comes_back_with_the_order_of_its_arrays():
    again = manifest.decode(manifest.encode(SOUND))
    assert again == SOUND
    assert list(again.tensors) == list(SOUND.tensors)


def test_it_holds_its_own_hash_which_any_program_can_check():
    text = manifest.encode(SOUND)
    body = json.loads(text)
    digest = body.pop("sha256")
    rest = json.dumps(body, separators=(",", ":")) + "\n"
    assert manifest.hashlib.sha256(rest.encode()).hexdigest() == digest


def test_no_bit_of_it_can_change_unseen():
    text = manifest.encode(SOUND)
    for place in range(len(text)):
        for bit in range(8):
            changed = bytearray(text)
            changed[place] ^= 1 << bit
            with pytest.raises(RefusedError, match=r"MANIFEST\.json"):
                manifest.decode(changed)


def test_a_later_version_is_refused_clearly_whatever_else_is_in_it():
    text = json.dumps({"format": manifest.FORMAT, "version": 2, "anything": [1]})
    with pytest.raises(
        RefusedError, match="format version 2, and this ownloop reads 1"
    ):
        manifest.decode(text.encode())


def test_json_of_somebody_else_is_refused():
    with pytest.raises(RefusedError, match="is of no checkpoint of ownloop"):
        manifest.decode(b'{"format":"another"}')
