"""What a Keras object was made with is told alike in every process."""

import sys

import keras
import numpy as np
import pytest

from ownloop.step import configs
from ownloop.step.configs import config_of, graph_of

layers = keras.layers


@pytest.mark.parametrize(
    ("thing", "name", "value"),
    [
        (layers.Dense(3, activation="tanh"), "activation", "tanh"),
        (layers.Dense(3, activation=lambda x: x), "activation", "<lambda>"),
        (layers.Dense(3, kernel_regularizer="l2"), "kernel_regularizer.l2", 0.01),
        (layers.Conv2D(3, 3, padding="same"), "padding", "same"),
        (layers.Conv2D(3, 3, strides=2), "strides", [2, 2]),
        (layers.Dense(3, dtype="mixed_float16"), "dtype", "mixed_float16"),
        (layers.LSTM(3, recurrent_activation="relu"), "recurrent_activation", "relu"),
        (layers.MultiHeadAttention(2, 3), "num_heads", 2),
        (layers.ReLU(max_value=6), "max_value", 6),
        (keras.optimizers.SGD(clipnorm=1.0), "clipnorm", 1.0),
        (keras.Sequential([layers.ReLU(), layers.Dense(2)]), "layers[1]", "Dense"),
    ],
)
def test_an_objects_config_is_told_by_name(thing, name, value):
    assert config_of(thing)[name] == value


class Odd(layers.Layer):
    """A layer of the user's, made with all that JSON lacks, which cannot be saved."""

    def __init__(self, mode, table, *, way, words):
        super().__init__()
        self.mode, self.table, self.way, self.words = mode, table, way, words

    def get_config(self):
        raise NotImplementedError


def test_what_is_no_json_is_told_by_its_kind_and_alone():
    way = {"of": np.tanh, "depth": 2, "none": None, "thing": object()}
    odd = Odd("fast", np.ones(3), way=way, words={"b", "a"})
    told = config_of(odd)
    assert told.pop("table") in ("ndarray", "list")
    assert told.pop("dtype") == "float32"
    del told["autocast"]
    assert told == {
        "mode": "fast",
        "way.of": "ufunc",
        "way.depth": 2,
        "way.thing": "object",
        "words": "['a', 'b']",
    }


def test_names_drawn_seeds_and_what_comes_with_being_built_are_left_out():
    def make(first):
        for _ in range(first):
            layers.Dense(1)
        return [
            layers.Dense(2, kernel_initializer="he_normal", activation="relu"),
            layers.Dropout(0.5),
            keras.optimizers.Adam(),
        ]

    assert list(map(config_of, make(0))) == list(map(config_of, make(5)))
    model = keras.Sequential(make(0)[:2])
    before = config_of(model), list(map(config_of, model.layers))
    model.build((None, 3))
    assert before == (config_of(model), list(map(config_of, model.layers)))


def residual(*, is_joined):
    inputs = keras.Input((3,))
    first = layers.Dense(3)(inputs)
    second = layers.Dense(3)(first)
    return keras.Model(inputs, layers.Add()([first if is_joined else second, second]))


def test_how_layers_are_joined_is_told_by_their_places(monkeypatch):
    monkeypatch.setattr(configs, "_is_tensorflow_installed", lambda: False)
    one, same, other = [residual(is_joined=j) for j in (True, True, False)]
    assert graph_of(one) == graph_of(same) != graph_of(other)
    assert graph_of(one)["layers[3]"] == "Add of [{'args': [[1, 2]]}]"
    assert graph_of(keras.Sequential([layers.Dense(2)])) == {}


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="Keras has imported it there"
)
def test_tensorflow_is_not_imported_to_tell_a_config(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    model = residual(is_joined=True)
    config_of(model)
    graph_of(model)
    assert "tensorflow" not in sys.modules
