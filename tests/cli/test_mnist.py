"""``ownloop mnist`` on this process's backend, with made-up digits.

A job trains on each backend; what the command refuses and goes on with is tried once,
and `make faults` kills runs on each.
"""

import csv
import inspect
import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import ownloop as ol
from ownloop.checkpoints import Store
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
    assert {path.name for path in out.iterdir()} > {
        "history.csv",
        "history.json",
        "history.png",
        "log.txt",
        "run.json",
    }
    # All but the last line, in which there are times.
    assert (out / "log.txt").read_text().splitlines() == printed[:-1]
    assert (out / "history.png").read_bytes().startswith(b"\x89PNG")
    json.loads((out / "history.json").read_text())
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert set(rows[0]) >= {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}


@pytest.mark.once
def test_some_classes_only(tmp_path, capsys, backend):
    words = "--epochs 1 --classes 1,0 --learning-rate 1e-3 --batch-size 10"
    code = main(["mnist", "--backend", backend, *words.split(), "--out", str(tmp_path)])
    assert code == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "validation accuracy 1.0000" in last


SCRIPT = f"""
import sys
import time
from pathlib import Path

import numpy as np

from ownloop import datasets
from ownloop.cli import main

{inspect.getsource(made_up_digits)}
datasets.mnist = made_up_digits
write = sys.stdout.write


def write_and_wait(text):
    # Until the thread that saves has saved once: the epochs are shorter than that.
    write(text)
    while text == "Epoch 3" and not any(Path(sys.argv[-1]).glob("checkpoints/step-*")):
        time.sleep(0.01)


sys.stdout.write = write_and_wait
sys.exit(main(sys.argv[1:]))
"""
WORDS = ["--epochs=4", "--batch-size=32", "--learning-rate=1e-3", "--every=6"]


@pytest.fixture(scope="module")
def one_job(tmp_path_factory, backend):
    """The folder of a job of these words that nobody has interrupted."""
    folder = tmp_path_factory.mktemp("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ol.datasets, "mnist", made_up_digits)
        assert main(["mnist", "--backend", backend, *WORDS, "--out", str(folder)]) == 0
    return folder


@pytest.mark.once
def test_a_job_that_was_interrupted_goes_on_to_the_same_bits(
    one_job, tmp_path, capfd, backend
):
    words = ["mnist", "--backend", backend, *WORDS, "--out"]
    one, two = one_job, tmp_path / "two"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, *words, str(two)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in iter(process.stdout.readline, ""):
        if line == "Epoch 3\n":
            process.send_signal(signal.SIGINT)
            break
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert f"interrupted; with --resume the run in {two} goes on" in error
    capfd.readouterr()

    assert main([*words, str(two)]) == 2
    assert re.search(
        rf"{re.escape(str(two))} has a run in it, at step \d+ after \d epochs?\. "
        r"Expected a folder without a run\. Write --resume to continue it, or",
        capfd.readouterr().err,
    )
    assert main([*words, str(two), "--resume"]) == 0
    assert f"continuing {two} at step" in capfd.readouterr().err
    for name in ("log.txt", "history.csv", "history.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
    assert weights(two) == weights(one)


def weights(folder):
    """The last state's bits, but for those of the process's own random generators."""
    state = Store(folder / "checkpoints", run=None).newest().checkpoint.tensors
    return {
        name: entry.array.tobytes()
        for name, entry in state.items()
        if not name.startswith("random/")
    }


@pytest.mark.once
def test_a_job_that_is_finished_says_so_again_and_can_be_trained_on(
    tmp_path, capsys, backend
):
    words = ["mnist", "--backend", backend, "--out", str(tmp_path), "--resume"]
    assert main([*words, "--epochs", "1"]) == 0  # with nothing there it begins
    said = capsys.readouterr().out.splitlines()[-1]
    (tmp_path / "history.png").unlink()
    assert main([*words, "--epochs", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    result = said.partition("; ")[2]
    assert first == f"finished already: 1 epoch; {result}"
    assert second.startswith("--epochs 11 trains on from there; another --out, or")
    assert (tmp_path / "history.png").exists()

    assert main([*words, "--epochs", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Epoch 2"
    assert said[-1].startswith("2 epochs, ")
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert [line for line in log if line.startswith("Epoch")] == ["Epoch 1", "Epoch 2"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning-rate 1e-2", r"began with --learning-rate 0\.001, and now it is"),
        ("--classes 0,1", r"began with --classes 0,1,2,3,4,5,6,7,8,9, and now it is 0"),
        ("--seed 3", r"began with --seed 0, and now it is 3\. Expected what it began"),
        ("--every 10", r"began with --every 6, and now it is 10\. .* choose another"),
    ],
)
def test_another_job_in_the_folder_is_refused(one_job, words, message, capsys, backend):
    usual = ["mnist", "--backend", backend, *WORDS, "--out", str(one_job), "--resume"]
    assert main([*usual, *words.split()]) == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.once
def test_a_run_that_is_no_such_job_is_refused(finished, capsys, backend):
    words = ["mnist", "--backend", backend, "--out", str(finished), "--resume"]
    assert main(words) == 2
    assert "a run in it that `ownloop mnist` did not make" in capsys.readouterr().err


@pytest.mark.once
def test_a_folder_in_which_another_process_trains_is_refused(running, capsys, backend):
    folder, process = running
    words = ["mnist", "--backend", backend, "--out", str(folder), "--resume"]
    assert main(words) == 2
    assert f"is in use by process {process.pid} on " in capsys.readouterr().err
    process.communicate("\n")
    assert process.returncode == 0


@pytest.mark.once
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
