"""What two branches return is compared as far as it is known."""

import keras
import pytest

from ownloop.backends.branches import check_alike
from ownloop.errors import StepError


def test_a_length_that_is_not_known_yet_is_no_difference():
    check_alike(keras.KerasTensor((None, 2)), keras.KerasTensor((3, 2)))


@pytest.mark.parametrize("shape", [(2,), (None, 3)])
def test_what_is_known_of_a_shape_is_compared(shape):
    with pytest.raises(StepError, match=r"float32\[None, 2\]"):
        check_alike(keras.KerasTensor((None, 2)), keras.KerasTensor(shape))


def test_none_beside_a_tensor_is_a_difference():
    with pytest.raises(StepError, match="None"):
        check_alike([None], [keras.KerasTensor(())])
