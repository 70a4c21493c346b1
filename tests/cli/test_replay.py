"""``ownloop replay``: a script's bad step, reproduced in a process of its own."""

import json
import re
import shutil
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from ownloop.checkpoints import Checkpoint, Store
from ownloop.cli import main
from ownloop.folder import Layout

SCRIPT = """
import sys

import keras
import numpy as np

import ownloop as ol

x = np.ones((12, 3), "float32")
x[9] = -5
layers = [
    keras.layers.Dense(3, kernel_initializer="identity", name="first"),
    keras.layers.Lambda(keras.ops.log, name="log"),
    keras.layers.Dropout(0.1, seed=1),
]
model = keras.Sequential(layers, name="model")  # built by its first step
optimizer = keras.optimizers.Adam(1e-3)


def warm(batch):
    return {"mean": keras.ops.mean(batch["x"])}


def step(batch):
    with ol.GradientTape() as tape:
        loss = keras.ops.mean(model(batch["x"], training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return {"loss": loss}


data = ol.Batches({"x": x}, batch_size=2)
loop = ol.Loop(
    model=model,
    optimizer=optimizer,
    folder=sys.argv[1],
    nonfinite="skip",
    compile=sys.argv[2] == "compiled",
)
for epoch in loop.epochs(2):
    loop.print("Epoch", epoch.number)
    epoch.train(warm, data, name="warm").run()
    for _ in epoch.train(step, data, every=2):
        pass
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, backend):
    """Return the folder of a run with two bad steps."""
    how = "eager" if backend == "torch" else "compiled"
    home = tmp_path_factory.mktemp("replayed")
    (home / "script.py").write_text(SCRIPT)
    words = [sys.executable, "script.py", "run", how]
    done = subprocess.run(words, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return home / "run"


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_latest_step_goes_wrong_again_and_the_layer_is_named(run, capfd):
    before = content(run)
    assert main(["replay", str(run)]) == 0
    said = capfd.readouterr().out.splitlines()
    # The pass before it in each epoch has six steps as well.
    assert said[0].startswith(
        "Step 23 (epoch 2, batch 5 of the pass 'train'): loss is "
    )
    assert re.match(r"Running .*script\.py run ", said[1])
    assert "Epoch 2" in said
    (first,) = [line for line in said if line.startswith("First not finite: ")]
    assert first.startswith("First not finite: the output of model/log (Lambda) has 3 ")
    assert "the logged 'loss'" in "\n".join(said)
    assert content(run) == before


def test_another_step_is_replayed_where_it_is_asked_for(run, capfd, backend):
    if backend != "jax":
        pytest.skip("which one is chosen in the same way on every backend")
    assert main(["replay", str(run), "--step", "11"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("Step 11 (epoch 1, batch 5 of the pass 'train')")
    assert "Epoch 1" in said
    assert "First not finite: the output of model/log (Lambda)" in said


def test_a_step_that_is_not_kept_is_refused(run, capfd):
    assert main(["replay", str(run), "--step", "7"]) == 2
    said = capfd.readouterr().err
    assert "keeps no step 7. Expected one of: step-11, step-23. Write" in said


def test_a_run_without_bad_steps_is_refused(finished, capsys):
    assert main(["replay", str(finished)]) == 2
    assert "keeps no step to replay: none has made" in capsys.readouterr().err


def kept(folder, **changes):
    """Keep a step in a folder that has none, and that says so of its script."""
    layout = Layout(folder)
    layout.nonfinite.mkdir(exist_ok=True)
    meta = {
        "epoch": 1,
        "pass": "train",
        "batch": 2,
        "step": 2,
        "cause": "loss is nan",
        "script": "nowhere.py",
        "words": [],
        "directory": str(folder),
        "backend": "jax",
    }
    store = Store(layout.nonfinite, run=layout.read_identity())
    store.commit(Checkpoint(2, {}, json.loads(json.dumps(meta | changes))))
    return str(folder)


def test_a_run_of_a_notebook_is_refused(finished, capsys):
    assert main(["replay", kept(finished, script=None)]) == 2
    said = capsys.readouterr().err
    assert "cannot be run again: it is no file, as in a notebook. Expected" in said


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("-c", "there is no "),
        ("gone.py", "there is no "),
        ("checkpoints/../planted.py", "lies in the run's own folder, and may be any"),
    ],
)
def test_what_a_folder_brings_with_it_is_not_run(finished, capsys, script, words):
    planted = finished / "planted.py"
    planted.write_text("print('planted')")
    folder = kept(finished, script=script, words=["print('planted')"])
    assert main(["replay", folder]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "planted\n" not in said.out


def test_a_module_that_a_folder_brings_with_it_is_not_run(finished, capsys):
    (finished / "planted.py").write_text("print('planted')")
    elsewhere = {"script": __file__, "directory": str(finished)}
    assert main(["replay", kept(finished, **elsewhere, module="planted")]) == 2
    said = capsys.readouterr()
    assert "lies in the run's own folder, and may be anybody's" in said.err
    assert "planted\n" not in said.out


def test_code_that_does_what_it_is_told_is_not_run(finished, capsys):
    words = ["-n1", "-r1", "print('planted')"]
    here = {"directory": str(Path(__file__).parent), "words": words}
    script = Path(__file__).name
    assert main(["replay", kept(finished, **here, script=script, module="timeit")]) == 2
    assert f"{script} is not the file of the module timeit" in capsys.readouterr().err
    script = timeit.__file__
    for module in ("timeit", None):
        shutil.rmtree(finished / "nonfinite")
        assert main(["replay", kept(finished, **here, script=script, module=module)])
        said = capsys.readouterr()
        assert "timeit.py is Python's, or that of a package" in said.err
        assert "planted\n" not in said.out


MODULE = """
import keras
import numpy as np

import ownloop as ol

from .numbers import NUMBERS

data = ol.Batches(np.array(NUMBERS, "float32"), batch_size=1)
loop = ol.Loop(folder="run", nonfinite="skip", compile=False)
for epoch in loop.epochs(1):
    epoch.train(lambda x: {"loss": keras.ops.sum(1 / x)}, data).run()
"""


def test_a_script_that_was_called_as_a_module_is_called_so_again(
    tmp_path, capfd, backend
):
    if backend != "jax":
        pytest.skip("how it is called is the same on every backend")
    package = tmp_path / "job"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "numbers.py").write_text("NUMBERS = [1, 2, 0, 4]")
    (package / "train.py").write_text(MODULE)
    words = [sys.executable, "-m", "job.train"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["replay", str(tmp_path / "run")]) == 0
    said = capfd.readouterr().out
    assert "Running -m job.train up to that pass" in said
    assert "the logged 'loss'" in said


def test_a_script_that_does_not_come_there_is_told_of(finished, tmp_path, capfd):
    script = Path(tmp_path, "short.py")
    script.write_text("print('short')")
    here = {"script": "short.py", "directory": str(tmp_path)}
    assert main(["replay", kept(finished, **here)]) == 2
    said = capfd.readouterr()
    assert "short\n" in said.out
    assert (
        "short.py ended with code 0, and did not come to the pass 'train'" in said.err
    )
