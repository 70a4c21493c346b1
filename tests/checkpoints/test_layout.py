"""Files in the format of safetensors, judged by the package of that name."""

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from ownloop.checkpoints import Checkpoint, Entry, Store, dtypes
from ownloop.checkpoints.layout import arrange
from ownloop.checkpoints.manifest import TensorSpec

WORDS = list(dtypes.WORDS)


def test_the_package_reads_what_we_wrote(folder):
    arrays = {
        f"{word}/{number} é\u202e": np.ones(shape, dtypes.dtype_of(word))
        for word in WORDS
        for number, shape in enumerate([(), (3,), (0, 2), (2, 5)])
    }
    tensors = {name: Entry(array, "") for name, array in arrays.items()}
    Store(folder, run="r").commit(Checkpoint(1, tensors, {}))
    found = dict(
        safetensors.deserialize((folder / "step-1/state.safetensors").read_bytes())
    )
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name]["dtype"] == name.split("/")[0]
        assert tuple(found[name]["shape"]) == array.shape
        assert bytes(found[name]["data"]) == array.tobytes()


def test_the_package_writes_the_same_bytes(folder):
    # For names of ASCII, and dtypes of other widths: it leaves the order of equal ones
    # to itself.
    arrays = {
        "a": np.arange(3, dtype=np.float32),
        "b": np.arange(4, dtype=np.int64).reshape(2, 2),
        "c": np.array(7, np.uint8),
        "d": np.zeros((0, 3), np.float16),
    }
    tensors = {name: Entry(array, "") for name, array in arrays.items()}
    Store(folder, run="r").commit(Checkpoint(1, tensors, {}))
    theirs = safetensors.numpy.save(arrays)
    assert (folder / "step-1/state.safetensors").read_bytes() == theirs


def test_every_value_lies_at_a_multiple_of_its_size():
    specs = {
        f"{number}": TensorSpec(word, (number % 4,), "", "")
        for number, word in enumerate(WORDS * 3)
    }
    layout = arrange(specs)
    for name, offset in layout.offsets.items():
        assert offset % dtypes.size_of(specs[name].dtype) == 0


def test_the_layout_is_the_same_in_whatever_order_the_names_come():
    specs = {name: TensorSpec("F32", (2,), "", "") for name in "cab"}
    assert arrange(specs) == arrange(dict(sorted(specs.items())))


def test_what_safetensors_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="the name '__metadata__' is safetensors' own"):
        arrange({"__metadata__": TensorSpec("F32", (2,), "", "")})
    with pytest.raises(ValueError, match="the dtype 'F31' is unknown"):
        arrange({"a": TensorSpec("F31", (2,), "", "")})
    long = {"x" * 100_000_000: TensorSpec("F32", (2,), "", "")}
    with pytest.raises(ValueError, match="the header takes 100000056 bytes, more than"):
        arrange(long)


def test_extension_dtypes_come_from_ml_dtypes():
    assert dtypes.dtype_of("BF16") == np.dtype(ml_dtypes.bfloat16)
