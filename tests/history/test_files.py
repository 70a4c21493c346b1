"""Files: the numbers come back with the same bits, and no file is ever half written."""

import csv
import json
import os

import numpy as np
import pytest

from ownloop.errors import DataError
from ownloop.history import History


def recorded():
    """Odd floats, NaN, infinities, an array per pass, and a look outside the epochs."""
    history = History()
    odd = [0.1, 1 / 3, 5e-324, -0.0, np.inf, -np.inf, np.nan, 1.7976931348623157e308]
    history.record_steps("train", {"loss": odd}, np.arange(1, 9))
    history.record_pass("val", {"loss": 0.1 + 0.2}, step=4, epoch=1)
    history.record_pass("train", {"f1": [0.5, np.nan]}, step=8, epoch=1)
    history.record_epoch(1, step=8)
    history.record_pass("val", {"loss": -np.inf}, step=16, epoch=2)
    history.record_epoch(2, step=16)
    history.record_pass("test", {"g/loss": 7}, step=16)
    return history


def test_json_brings_back_everything_bit_for_bit(tmp_path):
    first = recorded()
    first.to_json(tmp_path / "history.json")
    second = History.from_json(tmp_path / "history.json")
    assert second.names == first.names
    assert second.origins == first.origins
    assert list(second.epochs) == list(first.epochs)
    for name, column in first.epochs.items():
        assert second[name].tobytes() == column.tobytes()
    for name in first.names:
        for part in ("step", "value", "epoch"):
            expected = getattr(first.looks(name), part)
            np.testing.assert_array_equal(getattr(second.looks(name), part), expected)
    assert second.steps["train_loss"].tobytes() == first.steps["train_loss"].tobytes()
    np.testing.assert_array_equal(second.steps.step("train_loss"), np.arange(1, 9))
    second.to_json(tmp_path / "again.json")
    again = (tmp_path / "again.json").read_bytes()
    assert again == (tmp_path / "history.json").read_bytes()


def test_json_is_json_for_every_reader(tmp_path):
    def refuse(word):
        raise AssertionError(word)

    recorded().to_json(tmp_path / "history.json")
    text = (tmp_path / "history.json").read_text()
    content = json.loads(text, parse_constant=refuse)
    assert content["epochs"]["epoch"] == [1, 2]
    assert content["epochs"]["train_f1"] == [[0.5, None], [None, None]]
    assert content["epochs"]["val_loss"] == [0.1 + 0.2, "-inf"]
    assert content["steps"]["train_loss"]["value"][4:7] == ["inf", "-inf", None]


def test_an_empty_history_can_be_written_and_read(tmp_path):
    History().to_json(tmp_path / "history.json")
    assert len(History.from_json(tmp_path / "history.json")) == 0
    History().to_csv(tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == "epoch,step\n"


def test_csv_has_a_row_for_each_epoch_and_a_column_for_each_entry(tmp_path):
    recorded().to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["epoch", "step", "val_loss", "train_f1[0]", "train_f1[1]"],
        ["1", "8", "0.30000000000000004", "0.5", "nan"],
        ["2", "16", "-inf", "nan", "nan"],
    ]


def test_every_nan_comes_back_as_numpys_own(tmp_path):
    first = History()
    odd = np.array([0xFFF8000000000000, 0x7FF8000000000123], np.uint64).view("f8")
    first.record_steps("train", {"loss": odd}, np.arange(1, 3))
    first.to_json(tmp_path / "history.json")
    second = History.from_json(tmp_path / "history.json")
    assert second.steps["train_loss"].tobytes() == np.full(2, np.nan).tobytes()


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", '{"format": "other"}'])
def test_a_file_that_is_no_history_is_refused(tmp_path, text):
    (tmp_path / "file").write_text(text)
    with pytest.raises(DataError, match=r"file is no history .*Expected a file that"):
        History.from_json(tmp_path / "file")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("looks"),
        lambda content: content.update(looks=[]),
        lambda content: content["looks"].update(val_loss=1),
        lambda content: content["looks"]["val_loss"]["step"].append(24),
        lambda content: content["looks"]["val_loss"].update(value=["half", 0.5]),
        lambda content: content["steps"]["train_loss"].update(step=[10**30] * 8),
        lambda content: content["steps"]["train_loss"]["step"].pop(),
        lambda content: content["epochs"]["epoch"].reverse(),
    ],
)
def test_a_history_that_was_damaged_is_refused(tmp_path, damage):
    recorded().to_json(tmp_path / "file")
    content = json.loads((tmp_path / "file").read_text())
    damage(content)
    (tmp_path / "file").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"file is no history .*Error.*Expected a file"):
        History.from_json(tmp_path / "file")


def test_a_history_of_a_later_version_is_refused(tmp_path):
    (tmp_path / "file").write_text('{"format": "ownloop history", "version": 2}')
    with pytest.raises(DataError, match=r"version 2\)\. Expected .* version 1"):
        History.from_json(tmp_path / "file")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    path.write_text("old")

    def fail(source, target):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        recorded().to_csv(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
