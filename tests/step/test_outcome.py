"""What a step returns becomes names, kinds and tensors."""

import keras
import pytest

from ownloop.errors import StepError
from ownloop.step import Kind, last
from ownloop.step.outcome import metrics, read


def kinds(result):
    return {entry.name: entry.kind for entry in read(result)[0]}


def test_a_bare_scalar_is_called_loss():
    assert kinds(keras.ops.ones(())) == {"loss": Kind.SCALAR}
    assert kinds(0.5) == {"loss": Kind.SCALAR}


def test_a_bare_metric_has_its_own_name():
    assert kinds(keras.metrics.Mean(name="error")) == {"error": Kind.METRIC}


def test_each_entry_has_its_kind_and_its_place():
    f1 = keras.metrics.F1Score(average=None)
    f1.update_state([[1.0, 0.0]], [[0.9, 0.1]])
    result = {
        "loss": 1.5,
        "shown": last(keras.ops.ones((2, 2))),
        "error": keras.metrics.Mean(),
        "f1": f1,
    }
    logged, every, final = read(result)
    assert [entry.kind for entry in logged] == [
        Kind.SCALAR,
        Kind.SHOWN,
        Kind.METRIC,
        Kind.ARRAY,
    ]
    assert [tuple(t.shape) for t in every] == [(), ()]
    assert [tuple(t.shape) for t in final] == [(2, 2), (2,)]


def test_dictionaries_in_dictionaries_join_their_names():
    assert list(kinds({"g": {"loss": 1.0, "deep": {"er": 2.0}}, "d": 3.0})) == [
        "g/loss",
        "g/deep/er",
        "d",
    ]


def test_a_variable_is_logged_by_its_value():
    variable = keras.Variable(2.0, trainable=False)
    _, (value,), _ = read({"rate": variable})
    variable.assign(3.0)
    assert float(value) == 2.0


def test_metrics_are_found_where_they_are():
    one, two = keras.metrics.Mean(), keras.metrics.Mean()
    assert list(metrics({"a": one, "b": {"c": two}, "d": 1.0})) == [one, two]
    assert list(metrics(one)) == [one]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "returned None"),
        ({}, "empty dictionary"),
        ({"g": {}}, "empty dictionary"),
        ({3: 1.0}, "key 3"),
        ((1.0, 2.0), "tuple of 2.*names"),
        ([1.0], "list of 1"),
        ("loss", "type str"),
        ({"loss": b"x"}, "type bytes"),
        ({"loss": object()}, "type object"),
        ({"x": [1.0, 2.0]}, r"shape \(2,\).*last"),
    ],
)
def test_what_cannot_be_logged_is_refused(result, words):
    with pytest.raises(StepError, match=words):
        read(result)
