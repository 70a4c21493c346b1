"""Where things are kept between runs, and that compiled programs are found again."""

import os
import subprocess
import sys
import textwrap

import pytest

from ownloop import cache

PROGRAM = """
import jax, keras, numpy as np, ownloop as ol
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name))
weights = keras.Variable(np.ones((64, 64), "float32"))

def step(x):
    with ol.GradientTape() as tape:
        loss = keras.ops.mean(keras.ops.tanh(keras.ops.matmul(x, weights)))
    weights.assign_sub(tape.gradient(loss, weights))
    return loss

data = ol.Batches(np.ones((8, 64), "float32"), batch_size=2)
for epoch in ol.Loop(observers=[]).epochs(1):
    epoch.train(step, data).run()
print(found.count("/jax/compilation_cache/cache_hits"), float(keras.ops.sum(weights)))
"""


def test_it_is_in_the_home_folder_unless_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("OWNLOOP_CACHE", raising=False)
    assert cache.cache_folder().parts[-2:] == (".cache", "ownloop")
    monkeypatch.setenv("OWNLOOP_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path


def test_each_kind_of_machine_has_a_folder_of_its_own(monkeypatch):
    here = cache.compiled_folder("jax")
    monkeypatch.setattr(cache.platform, "machine", lambda: "another one")
    assert cache.compiled_folder("jax") != here
    assert cache.compiled_folder("jax").parent == here.parent


def test_a_second_run_finds_what_the_first_has_compiled(backend, tmp_path):
    if backend != "jax":
        pytest.skip("PyTorch keeps its graphs by itself; TensorFlow keeps none")
    environment = os.environ | {"OWNLOOP_CACHE": str(tmp_path)}
    # JAX's own words would come before ours.
    for name in [name for name in environment if name.startswith("JAX_")]:
        del environment[name]

    def run():
        # Small programs are kept too, or this one would not be.
        code = "import ownloop.cache as c; c.WORTH_KEEPING_SECONDS = 0.0\n" + PROGRAM
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        # JAX only warns of a program that it cannot write or read.
        assert "compilation cache" not in done.stderr, done.stderr
        hits, total = done.stdout.split()
        # On a busy machine a stretch may end early, and its state is copied.
        kept = [
            path for path in tmp_path.rglob("*-cache") if "jit_copy-" not in str(path)
        ]
        return int(hits), float(total), sorted(map(str, kept))

    first, second = run(), run()

    assert first[2], "nothing was kept"
    # A program that is found is not written again under another name.
    assert second[2] == first[2]
    assert second[0] > first[0]  # which finds what it compiled a moment ago
    assert first[1] == second[1]
