"""Logged values come back to the bit."""

import json
import struct

import numpy as np
import pytest

from ownloop.resume.plain import pack, put_back, set_apart, unpack


def bits(value):
    return struct.pack(">d", value).hex()


@pytest.mark.parametrize(
    "written",
    ["7ff8000000000000", "fff8000000000000", "7ff8000000000abc", "8000000000000000"],
)
def test_a_number_comes_back_with_all_its_bits_also_if_it_is_none(written):
    (value,) = struct.unpack(">d", bytes.fromhex(written))
    assert bits(unpack(pack({"loss": value}))["loss"]) == written


@pytest.mark.parametrize("dtype", ["float32", "bool", "complex128"])
def test_arrays_lie_apart_and_come_back_also_where_names_mislead(dtype):
    picture = np.ones((2, 3)).astype(dtype)
    logged = {"array": 0.5, "picture": picture, "again": picture, "data": 1.0}
    arrays = {}
    words = set_apart({"results": {"0": pack(logged)}, "names": ["array"]}, arrays)
    picture[:] = 0  # What was set apart is a copy.
    again = unpack(put_back(json.loads(json.dumps(words)), arrays)["results"]["0"])
    assert len(arrays) == (0 if dtype == "complex128" else 1)
    assert (again["array"], again["data"]) == (0.5, 1.0)
    for name in ("picture", "again"):
        assert again[name].dtype == dtype
        assert again[name].shape == (2, 3)
        assert again[name].all()
