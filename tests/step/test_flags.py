"""Flags of layers have names that do not depend on the process, and are put back."""

import keras
import pytest

from ownloop.step import flags_of, put_flags, settings_of


def nested():
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(2)])
    return keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(1)])


def test_flags_of_layers_are_among_the_settings():
    model = nested()
    model.layers[1].trainable = False
    flags = flags_of({"model": model})
    assert flags.items() <= settings_of({"model": model}).items()
    assert sum(flags.values()) == 4
    assert len(flags) == 5


@pytest.mark.parametrize("frozen", range(5))
@pytest.mark.parametrize("is_inner", [False, True])
def test_flags_are_put_back_one_by_one_in_layers_within_layers(frozen, is_inner):
    def layers(model):
        inner = model.layers[0]
        return [model, inner, *inner.layers, model.layers[1]]

    earlier, now = nested(), nested()
    layers(earlier)[frozen].trainable = False
    if is_inner:
        layers(earlier)[2].trainable ^= True
    put_flags({"model": now}, flags_of({"model": earlier}))
    flags = [layer.trainable for layer in layers(earlier)]
    assert [layer.trainable for layer in layers(now)] == flags


def test_flags_of_other_layers_are_left():
    layer = keras.layers.Dense(2)
    put_flags({"layer": layer}, {"dropout.trainable": False})
    assert layer.trainable
