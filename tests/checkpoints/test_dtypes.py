"""Arrays become bytes and come back, bit for bit."""

import ml_dtypes
import numpy as np
import pytest

from ownloop.checkpoints import dtypes

PLAIN = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64"
EXTENSION = (
    "bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu"
)
EVERY = [np.dtype(name) for name in [*PLAIN.split(), "complex64"]] + [
    np.dtype(getattr(ml_dtypes, name)) for name in EXTENSION.split()
]


def same(array):
    """Give an array after a way there and back, through odd bytes before it."""
    content = bytearray(b"odd") + bytearray(dtypes.to_bytes(array))
    dtype = dtypes.dtype_of(dtypes.word_of(array.dtype))
    return dtypes.from_bytes(content, 3, dtype, array.shape)


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_every_bit_pattern_comes_back(dtype):
    pattern = np.arange(256, dtype=np.uint8) if dtype.kind != "b" else np.arange(2)
    raw = np.tile(pattern.astype(np.uint8), 2 * dtype.itemsize)
    array = raw.view(dtype)
    again = same(array)
    assert again.dtype == dtype
    assert again.tobytes() == array.tobytes()
    assert dtypes.size_of(dtypes.word_of(dtype)) == dtype.itemsize


@pytest.mark.parametrize("dtype", EVERY, ids=str)
@pytest.mark.parametrize(
    "shape", [(), (0,), (3, 0, 2), (1,), (2, 3), (1,) * 32], ids=str
)
def test_every_shape_comes_back(dtype, shape):
    array = np.ones(shape, dtype)
    again = same(array)
    assert again.shape == shape
    assert again.tobytes() == array.tobytes()


def test_not_a_number_keeps_its_payload_and_zero_its_sign():
    payloads = np.array([0x7F800001, 0x7FC0BEEF, 0xFFFFFFFF, 0x80000000], np.uint32)
    assert same(payloads.view(np.float32)).view(np.uint32).tolist() == payloads.tolist()


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_the_other_byte_order_keeps_its_values(dtype):
    raw = np.arange(8 * dtype.itemsize, dtype=np.uint8)
    native = (raw % 2 if dtype.kind == "b" else raw).view(dtype)
    swapped = native.byteswap().view(dtype.newbyteorder(">"))
    again = same(swapped)
    assert again.dtype == dtype
    assert again.tobytes() == native.tobytes()


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[::2, 1:],
        lambda a: a[::-1],
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[0], (5, 6)),
    ],
    ids=["transposed", "strided", "backwards", "Fortran", "broadcast"],
)
def test_values_that_are_not_in_a_row_come_back(view):
    array = view(np.arange(24, dtype=np.float32).reshape(4, 6))
    assert np.array_equal(same(array), array)


def test_bytes_in_a_row_are_not_copied():
    array = np.zeros(5, np.float32)
    seen = dtypes.to_bytes(array)
    array[0] = 1
    assert bytes(seen[:4]) == np.float32(1).tobytes()


@pytest.mark.parametrize(
    "dtype",
    ["datetime64[s]", "complex128", "O", "S3", "U3", "V2", "longdouble", "i4,f4"],
)
def test_other_dtypes_have_no_word(dtype):
    assert dtypes.word_of(np.dtype(dtype)) is None


def test_a_record_that_calls_itself_bfloat16_is_none():
    assert dtypes.word_of(np.dtype([("bfloat16", "u2")])) is None
    assert dtypes.word_of(np.dtype(ml_dtypes.int4)) is None
