"""Data on the device take their own size once, and on the way there hardly more."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ownloop import backends

MEGABYTES = 128

CHILD = f"""
from pathlib import Path
import numpy as np
from ownloop import backends

room = backends.current()

def megabytes(field):
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index(field + ":") + 1]) / 2**10

x = np.ones(({MEGABYTES} * 2**20 // 4096, 1024), "float32")
room.place([x[:8]])
before = megabytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # The peak is that from now on.
placed = room.place([x])
print(megabytes("VmRSS") - before, megabytes("VmHWM") - before)
"""


@pytest.mark.in_turn
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="Linux says it")
def test_data_are_copied_once(backend):
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True
    )
    after, most = map(float, done.stdout.split())
    assert 0.9 * MEGABYTES < after < 1.3 * MEGABYTES
    # TensorFlow makes a tensor of an array by two copies, and has no other way.
    assert most < (2.3 if backend == "tensorflow" else 1.3) * MEGABYTES


@pytest.mark.parametrize("offset", [0, 8, 16])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "bool"])
@pytest.mark.parametrize(
    "shape",
    [lambda a: a, lambda a: a[::-1], lambda a: a.T, lambda a: a[:, ::2]],
    ids=["whole", "backwards", "turned", "every other"],
)
def test_what_the_caller_changes_later_is_not_seen(offset, dtype, shape):
    # JAX takes memory as it is that begins at a multiple of 64, or of 16.
    memory = np.zeros(1024, "uint8")
    begin = -memory.ctypes.data % 64
    size = 12 * np.dtype(dtype).itemsize
    array = memory[begin + offset :][:size].view(dtype).reshape(3, 4)
    array[...] = np.arange(12).reshape(3, 4) % 2
    array = shape(array)
    before = array.copy()
    (placed,) = backends.current().place([array]).arrays
    array[...] = 1 - before.astype("int8")
    assert np.array_equal(np.asarray(placed), before)
