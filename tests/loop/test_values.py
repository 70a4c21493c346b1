"""Values: a frozen mapping whose entries are attributes too."""

import copy
import pickle

import numpy as np
import pytest

from ownloop.errors import HistoryError
from ownloop.loop import Chunk, Values


def test_entries_are_found_by_key_and_by_attribute():
    values = Values({"loss": 0.5, "g/loss": 1.5})
    assert values.loss == values["loss"] == 0.5
    assert values["g/loss"] == 1.5
    assert dict(values) == {"loss": 0.5, "g/loss": 1.5}
    assert list(values) == ["loss", "g/loss"]
    assert "loss" in values
    assert "val" not in values
    assert "loss" in dir(values)
    assert "g/loss" not in dir(values)


def test_an_unknown_name_lists_the_known_ones():
    values = Values({"loss": 0.5})
    with pytest.raises(HistoryError, match=r"'los' was not logged.*'loss'"):
        values["los"]
    with pytest.raises(AttributeError, match=r"'los' was not logged.*'loss'"):
        _ = values.los
    with pytest.raises(KeyError):
        values["los"]
    assert not hasattr(values, "los")


def test_nothing_can_be_changed():
    entries = {"loss": 0.5}
    values = Values(entries)
    entries["loss"] = 1.0
    assert values.loss == 0.5
    with pytest.raises(AttributeError, match=r"cannot be set.*loop\.memory"):
        values.loss = 1.0
    with pytest.raises(TypeError):
        values["loss"] = 1.0


def test_it_shows_its_numbers_and_the_shapes_of_its_arrays():
    values = Values({"loss": 1 / 3, "f1": np.zeros(3), "images": np.zeros((8, 28, 28))})
    shown = "Values(loss=0.333333, f1=array of 3, images=array of 8 x 28 x 28)"
    assert repr(values) == f"{values}" == shown


def test_a_format_goes_to_each_number():
    values = Values({"loss": 1 / 3, "f1": np.zeros(3)})
    assert f"{values:.2f}" == "Values(loss=0.33, f1=array of 3)"
    with pytest.raises(ValueError, match="format"):
        f"{values:s}"


def test_a_chunk_shows_where_it_is_and_its_values():
    steps = Values({"loss": np.ones(300)})
    chunk = Chunk(300, 200, Values({"loss": 0.5}), Values({"loss": 0.25}), steps)
    assert repr(chunk) == (
        "Chunk(step=300, batch=200, last=Values(loss=0.5), mean=Values(loss=0.25))"
    )


def test_values_can_be_copied_and_pickled():
    values = Values({"loss": 0.5, "g/loss": 1.5})
    for again in (
        copy.copy(values),
        copy.deepcopy(values),
        pickle.loads(pickle.dumps(values)),  # noqa: S301 - our own bytes
    ):
        assert isinstance(again, Values)
        assert dict(again) == dict(values)
