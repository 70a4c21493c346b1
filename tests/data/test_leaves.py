"""What counts as a leaf, what a leaf may be, and what it becomes on a device."""

import ml_dtypes
import numpy as np
import pytest

from ownloop.data.leaves import as_array, flatten, standard
from ownloop.errors import DataError


class Tensor:
    """What PyTorch's tensors can do: no NumPy array before detach() and cpu()."""

    def __init__(self, values, ready=False):
        self.values, self.ready = values, ready

    def detach(self):
        return Tensor(self.values, self.ready)

    def cpu(self):
        return Tensor(self.values, ready=True)

    def __array__(self, *args, **kwargs):
        if not self.ready:
            raise RuntimeError("call detach().cpu() first")
        return np.asarray(self.values)


class OnlyNumpy:
    """A tensor that has .numpy() and is no array-like."""

    def numpy(self):
        return np.arange(3)


def test_lists_of_numbers_are_leaves_and_other_lists_are_structure():
    names, leaves, _ = flatten(([1, 2.5], [np.zeros(2), {"a": [[1], [2]]}], None))
    assert names == ["[0]", "[1][0]", "[1][1]['a']"]
    assert leaves[0] == [1, 2.5]


@pytest.mark.parametrize("leaf", [Tensor([0, 1, 2]), OnlyNumpy(), [0, 1, 2], range(3)])
def test_array_likes_become_numpy_arrays(leaf):
    np.testing.assert_array_equal(as_array(leaf, "[0]"), [0, 1, 2])


def test_an_array_is_not_copied():
    array = np.zeros(3)
    assert as_array(array, "") is array
    assert standard(array, "float64") is array


def test_a_memory_map_is_not_read(tmp_path):
    mapped = np.memmap(tmp_path / "rows", dtype="uint8", mode="w+", shape=(4, 2))
    array = as_array(mapped, "")
    assert type(array) is np.ndarray
    assert array.base is mapped


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        (np.array(["a", "b"]), "dtype <U1"),
        (np.array([b"a"]), "dtype |S1"),
        (np.array([None, 1], dtype=object), "dtype object"),
        (np.array([1j]), "dtype complex128"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "dtype datetime64"),
        (np.zeros(2, dtype=[("a", "f4")]), "dtype \\["),
        ("text", "dtype <U4"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place_and_dtype(leaf, words):
    words = words.replace("|", r"\|")
    with pytest.raises(DataError, match=rf"(?s)at \['x'\] has {words}.*Expected.*"):
        as_array(leaf, "['x']")


def test_ragged_lists_are_refused():
    with pytest.raises(DataError, match=r"\[0\] cannot be read.*Pad or cut"):
        as_array([[1, 2], [3]], "[0]")


class Unreadable:
    """A tensor of which NumPy can make no array, such as one of bfloat16 in PyTorch."""

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")


def test_tensors_that_cannot_be_read_are_no_matter_of_rows():
    words = r"(?s)\[0\] cannot be read.*type Unreadable.*BFloat16\. Expected.*float32"
    with pytest.raises(DataError, match=words) as caught:
        as_array(Unreadable(), "[0]")
    assert "rows" not in str(caught.value)


def test_a_bfloat16_tensor_of_pytorch_is_refused_with_what_it_says():
    torch = pytest.importorskip("torch")
    with pytest.raises(DataError, match=r"BFloat16\. Expected.*float32"):
        as_array(torch.zeros(2, dtype=torch.bfloat16), "")


def test_a_mask_is_not_lost():
    array = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    with pytest.raises(DataError, match=r"\[1\] is masked.*1 of its 2.*filled"):
        as_array(array, "[1]")


def test_a_mask_that_hides_nothing_may_be_lost():
    assert as_array(np.ma.masked_array([1.0, 2.0]), "").tolist() == [1, 2]


def test_small_floats_of_other_libraries_are_numbers():
    as_array(np.zeros(2, dtype=ml_dtypes.bfloat16), "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<f8", "float32"),
        (">f8", "float32"),
        (">f4", "float32"),
        (">i2", "int16"),
        ("f2", "float16"),
        ("u1", "uint8"),
        ("?", "bool"),
        (np.longdouble, "float32"),
    ],
)
def test_long_floats_and_foreign_byte_orders_become_standard(given, expected):
    array = np.array([0, 1], dtype=given)
    result = standard(array, "float32")
    assert result.dtype.name == expected
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)
