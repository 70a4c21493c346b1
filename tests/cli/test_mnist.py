"""``ownloop mnist`` on this process's backend, with made-up digits."""

import csv
import json
import re

import numpy as np
import pytest

import ownloop as ol
from ownloop.cli import main
from ownloop.errors import DataError


def made_up_digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[()]]:
    """660 pictures in the real ones' format: digit d is a bright row number d."""
    labels = np.tile(np.arange(10, dtype="uint8"), 66)
    images = np.random.default_rng(0).integers(0, 100, (660, 28, 28), dtype="uint8")
    images[np.arange(660), labels] = 255
    return (images, labels), ()


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    monkeypatch.setattr(ol.datasets, "mnist", made_up_digits)


def test_it_prints_what_a_textbook_prints_and_writes_its_files(
    tmp_path, capsys, backend
):
    out = tmp_path / "run"
    words = "--epochs 2 --batch-size 32 --learning-rate 1e-3 --every 6"
    code = main(["mnist", "--backend", backend, *words.split(), "--out", str(out)])
    printed = capsys.readouterr().out.splitlines()
    assert code == 0
    # 550 examples for training: 17 full batches and one of 6.
    shapes = [re.sub(r"\d\.\d{4}", "#", line) for line in printed]
    epoch = [f"  batch {index}: loss #, accuracy #" for index in (0, 6, 12)]
    epoch.append("  validation accuracy #")
    assert shapes[:-1] == [
        "data: shape (660, 28, 28), minimum 0, maximum 255",
        "Epoch 1",
        *epoch,
        "Epoch 2",
        *epoch,
    ]
    assert re.fullmatch(
        r"2 epochs, \d+\.\d\d s per epoch \(median\); training accuracy #, validation "
        rf"accuracy #; history\.csv, .*history\.png are in {re.escape(str(out))}",
        shapes[-1],
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "history.csv",
        "history.json",
        "history.png",
    ]
    assert (out / "history.png").read_bytes().startswith(b"\x89PNG")
    json.loads((out / "history.json").read_text())
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert set(rows[0]) >= {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}


def test_some_classes_only(tmp_path, capsys, backend):
    words = "--epochs 1 --classes 1,0 --learning-rate 1e-3 --batch-size 10"
    code = main(["mnist", "--backend", backend, *words.split(), "--out", str(tmp_path)])
    assert code == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "validation accuracy 1.0000" in last


def test_digits_that_cannot_be_had_end_with_code_2(
    tmp_path, capsys, backend, monkeypatch
):
    def unreachable():
        raise DataError("The digits cannot be had; expected a network; connect.")

    monkeypatch.setattr(ol.datasets, "mnist", unreachable)
    assert main(["mnist", "--backend", backend, "--out", str(tmp_path)]) == 2
    assert "The digits cannot be had" in capsys.readouterr().err


def test_another_backend_in_the_same_process_is_refused(tmp_path, capsys, backend):
    import keras  # noqa: F401  (what this test is about)

    other = "torch" if backend != "torch" else "jax"
    pytest.importorskip(other, reason=f"{other} is not installed")
    assert main(["mnist", "--backend", other, "--out", str(tmp_path)]) == 2
    assert f"Keras already runs on '{backend}'" in capsys.readouterr().err
