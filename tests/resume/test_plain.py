"""Logged values come back to the bit."""

import struct

import pytest

from ownloop.resume.plain import pack, unpack


def bits(value):
    return struct.pack(">d", value).hex()


@pytest.mark.parametrize(
    "written",
    ["7ff8000000000000", "fff8000000000000", "7ff8000000000abc", "8000000000000000"],
)
def test_a_number_comes_back_with_all_its_bits_also_if_it_is_none(written):
    (value,) = struct.unpack(">d", bytes.fromhex(written))
    assert bits(unpack(pack({"loss": value}))["loss"]) == written
