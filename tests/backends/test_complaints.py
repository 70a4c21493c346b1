"""Notes on frameworks' errors: on those that ask for a value, and on no others."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop import backends
from ownloop.backends.complaints import ASKS_FOR_A_VALUE

IS_TORCH = keras.backend.backend() == "torch"


class Asking(keras.layers.Layer):
    """Keras raises another error where one leaves it."""

    def call(self, x):
        return x if keras.ops.sum(x) > 0 else -x


WAYS = {
    "if": lambda x: x[0] if x[0] > 1 else x[1],
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "item": lambda x: x[0].item(),
    "tolist": lambda x: x.tolist()[0],
    "numpy": lambda x: x.numpy()[0],
    "format": lambda x: keras.ops.sum(x) if f"{x[0]:.2f}" else x[0],
    "array": lambda x: np.sum(np.asarray(x)),
    "convert": lambda x: np.sum(keras.ops.convert_to_numpy(x)),
    "range": lambda x: sum(range(keras.ops.cast(x[0], "int32"))),
    "layer": lambda x: keras.ops.sum(Asking()(x)),
}


@pytest.mark.skipif(IS_TORCH, reason="such steps run eagerly there")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_whatever_asks_for_a_value_is_told_the_ways_out(way):
    data = ol.Batches(np.ones(2, "float32"), batch_size=2)
    with pytest.raises(Exception) as caught:
        ol.Loop(observers=[]).validate(way, data)
    assert ASKS_FOR_A_VALUE in " ".join(caught.value.__notes__)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no number"),
        AttributeError("'SymbolicTensor' object has no attribute '_unique_id'"),
        AttributeError("DynamicJaxprTracer has no attribute assign_sub"),
        RuntimeError("out of memory"),
        TypeError("float() argument must be a string or a real number, not 'list'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_other_errors_nothing_is_said(error):
    assert backends.current().explain(error) == ""
