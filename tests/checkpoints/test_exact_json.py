"""A text has one value, and a value one text."""

import math
import struct

import numpy as np
import pytest

from ownloop.checkpoints import exact_json
from ownloop.errors import CheckpointError

VALUES = [
    None,
    True,
    [],
    {},
    "",
    "é\u202e\0\ud800",
    -0.0,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    10**400,
    {"b": [1, {"a": 2.0}], "a": "the order of keys is kept"},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_comes_back(value):
    text = exact_json.encode(value, what="value")
    again = exact_json.decode(text)
    assert repr(again) == repr(value)
    assert exact_json.is_exact(text, again)


def test_any_finite_float_comes_back_with_its_bits():
    bits = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    floats = [x for x in bits.view(np.float64).tolist() if math.isfinite(x)]
    again = exact_json.decode(exact_json.encode(floats, what="value"))
    assert struct.pack(f"{len(again)}d", *again) == struct.pack(
        f"{len(floats)}d", *floats
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [0, math.nan]}, r"meta\['a'\]\[1\] is nan\. Expected .* Write None"),
        ({"a": math.inf}, r"meta\['a'\] is inf\. Expected a finite"),
        (
            {"a": (1, 2)},
            r"meta\['a'\] is \(1, 2\) of type tuple\. Expected .* list\(\)",
        ),
        ({"a": {1: 2}}, r"meta\['a'\] has the key 1 of type int\. .* Write str\(key\)"),
        ({"a": np.float32(1)}, r"of type float32\. Expected .* \.item\(\)"),
        ({"a": np.zeros(2)}, r"of type ndarray\. Expected .* keep it as an array"),
        ({"a": {1, 2}}, r"of type set\. Expected"),
        ({"a": b"x"}, r"of type bytes\. Expected"),
        (
            {"a": 10**5000},
            r"meta cannot be written as JSON: .*digits.* Expected .* Keep",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:30],
)
def test_what_json_would_change_is_refused(value, message):
    with pytest.raises(CheckpointError, match=message):
        exact_json.encode(value, what="meta")


def test_what_holds_itself_is_refused():
    endless = {}
    endless["a"] = endless
    with pytest.raises(CheckpointError, match="cannot be written as JSON"):
        exact_json.encode(endless, what="meta")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}\n',
        b'{"a": 1}\n',
        b'{"a":1.50}\n',
        b'{"a":1}',
        b'{"a":NaN}\n',
        b'{"a":1e999}\n',
        b'{"\\u0061":1}\n',
    ],
)
def test_another_text_of_the_same_value_is_not_exact(text):
    assert not exact_json.is_exact(text, exact_json.decode(text))


@pytest.mark.parametrize("text", [b"", b"[" * 10**6, b"\xff", b"{", b"9" * 5000])
def test_what_is_no_text_of_a_value_is_told_by_one_error(text):
    with pytest.raises(ValueError):
        exact_json.decode(text)
