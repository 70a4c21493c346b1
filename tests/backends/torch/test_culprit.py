"""What asks a tensor for its value is named by the user's line that led to it."""

import re

import keras
import numpy as np
import pytest

from ownloop.backends.contract import LeafSpec, StepValues


def by_float(x):
    return float(keras.ops.mean(x)) + x


def by_item(x):
    return x.mean().item() + x


def by_list(x):
    return x + x.tolist()[0]


def by_array(x):
    return x - np.array(x)[0]


def by_numpy(x):
    return x * keras.ops.convert_to_numpy(x)[0]


def by_index(x):
    return x[: int(keras.ops.sum(x))]


class Layer(keras.Layer):
    def call(self, x):
        return x + float(x[0])


def by_layer(x):
    return LAYER(x)


def by_metric(x):
    return IOU(x > 0, x)


LAYER, IOU = Layer(), keras.metrics.BinaryIoU([1], threshold=0.5)


def reason_of(room, compute):
    def step(leaves):
        value = keras.ops.convert_to_tensor(compute(leaves[0]))
        return StepValues((keras.ops.sum(value),), ())

    return room.compile(step, [LeafSpec((3,), "float32")]).reason


@pytest.mark.parametrize(
    ("compute", "source", "asking"),
    [
        (by_float, "return float(keras.ops.mean(x)) + x", ""),
        (by_item, "return x.mean().item() + x", ""),
        (by_list, "return x + x.tolist()[0]", ""),
        (by_array, "return x - np.array(x)[0]", ""),
        (by_index, "return x[: int(keras.ops.sum(x))]", ""),
        (by_layer, "return x + float(x[0])", ""),
        (
            by_numpy,
            "return x * keras.ops.convert_to_numpy(x)[0]",
            ", in keras.src.backend.torch.core.convert_to_numpy",
        ),
        (by_metric, "return IOU(x > 0, x)", ", in keras.src.backend.torch.core."),
    ],
)
def test_the_line_that_asks_is_named_and_what_asks_there(room, compute, source, asking):
    place = re.escape(f": `{source}`{asking}")
    assert re.search(rf"test_culprit\.py:\d+{place}\w*$", reason_of(room, compute))


def test_the_line_is_the_innermost_of_the_users_own(room):
    def outer(x):
        return by_float(x)

    line = by_float.__code__.co_firstlineno + 1
    assert f"test_culprit.py:{line}: " in reason_of(room, outer)


def test_a_line_that_is_known_by_its_number_only_has_no_source(room):
    names = {}
    exec("def compute(x):\n    return float(x[0]) + x", names)
    assert reason_of(room, names["compute"]).endswith(", at <string>:2")


def test_a_long_line_is_cut(room):
    # fmt: off
    compute = lambda x: float(x[0]) + x + 1.0 + 1.0 + 1.0 + 1.0 + 1.0 + 1.0 + 1.0  # noqa: E731
    # fmt: on
    source = reason_of(room, compute).split("`")[1]
    assert source.startswith("compute = lambda x: float(x[0])")
    assert source.endswith("...")
    assert len(source) <= 72


def test_where_no_line_of_the_users_asks_none_is_named(room):
    def compute(x):
        while x[0] > 0:
            x = x - 1.0
        return x

    assert reason_of(room, compute).endswith("more than 8 ways through it")
