"""What models and layers were built for, so that another process builds them alike.

A model without `keras.Input` makes its variables when it is first called. Until then
the script would see other weights than the run has, and of layers that are not built
nobody knows the order.
"""

import contextlib
import json
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from ownloop.resume.parts import parts_of


def built_for(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Returns for each layer that is built the shapes that it was built for, as JSON.

    Of those within others only the ones that were called by themselves, such as the
    networks of a model that trains each in a pass of its own.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.build((None, 3))
        >>> built_for({"model": model})
        {'model': {'input_shape': [None, 3]}}
    """
    found = {}
    for name, layer in _layers(objects).items():
        if not layer.built or (name not in objects and "/" in (layer.path or "/")):
            continue
        # Whatever a layer of the user's own answers: its first call builds it then.
        with contextlib.suppress(Exception):
            if shapes := layer.get_build_config():
                found[name] = json.loads(json.dumps(shapes))
    return found


def build(objects: Mapping[str, Any], shapes: Mapping[str, Any]) -> None:
    """Builds layers that are not built for what `built_for` has returned.

    One that cannot be built so, as its call needs more, is built by its first call.
    """
    # What is within another one comes first: a call of that would build it as its part.
    layers = sorted(_layers(objects).items(), key=lambda item: -item[0].count("/"))
    for name, layer in layers:
        if name in shapes and not layer.built:
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _build(layer, _tuples(shapes[name]))


def _build(thing: keras.Layer, shapes: Mapping[str, Any]) -> None:
    if isinstance(thing, keras.Sequential) or not _is_built_by_its_call(thing):
        thing.build_from_config(shapes)
    elif "input_shape" in shapes:
        thing(_inputs(shapes["input_shape"]))
    else:
        words = shapes["shapes_dict"].items()
        thing(**{word.removesuffix("_shape"): _inputs(shape) for word, shape in words})


def _is_built_by_its_call(thing: keras.Layer) -> bool:
    return type(thing).build in (keras.Model.build, keras.Layer.build)


def _inputs(shape: Any) -> Any:
    """Returns placeholders of shapes: as a call of `keras.Model` takes them."""
    if isinstance(shape, dict):
        return {name: _inputs(entry) for name, entry in shape.items()}
    if any(isinstance(entry, tuple | dict) for entry in shape):
        return [_inputs(entry) for entry in shape]
    return keras.KerasTensor(shape)


def _tuples(shapes: Any) -> Any:
    """Returns shapes as Keras has them: JSON knows no tuples."""
    if isinstance(shapes, dict):
        return {name: _tuples(shape) for name, shape in shapes.items()}
    if isinstance(shapes, list):
        return tuple(_tuples(entry) for entry in shapes)
    return shapes


def _layers(objects: Mapping[str, Any]) -> dict[str, keras.Layer]:
    """Returns the layers among the objects, and those within them, by name."""
    return {
        part.name: part.thing
        for word, thing in objects.items()
        if isinstance(thing, keras.Layer)
        for part in parts_of(word, thing)
        if isinstance(part.thing, keras.Layer)
    }
