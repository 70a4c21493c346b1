"""`Loop.check_resume`: a script's own processes, killed and compared."""

import signal
import subprocess
import sys

import pytest

import ownloop as ol
from ownloop.errors import LoopError
from ownloop.loop.resume_check import ResumeReport

SCRIPT = """
import sys, keras, numpy as np, ownloop as ol
weight = keras.Variable(0.0)
rate = keras.Variable(0.5, trainable=False)
def step(x):
    loss = keras.ops.mean((weight - x) ** 2)
    weight.assign(weight - rate * keras.ops.mean(weight - x))
    return loss
data = ol.Batches(np.arange(40, dtype="float32"), 4, shuffle=True, seed=1)
loop = ol.Loop(weight=weight, rate=rate, compile=False, observers=[])
print(loop.check_resume(steps=25, kills=1))
seen = 0
for epoch in loop.epochs(3):
    for chunk in epoch.train(step, data, every=2):
        seen += 1
        if "--forgetful" in sys.argv:
            rate.assign(0.5 / seen)
        loop.print(chunk.step, chunk.last.loss)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # It looks after two steps each time, and ends with the look.
        ([], "26 steps, killed at 13: the same bits"),
        (["--forgetful"], "weight/0 (variable) differs"),
    ],
)
def test_a_script_learns_whether_it_may_be_killed(backend, tmp_path, words, expected):
    if backend != "jax":
        pytest.skip("runs once, from the first backend's process")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert expected in first
    assert len(lines) == 15  # After that it trains, from the beginning.


def test_a_child_kills_itself_at_its_step():
    code = """
from ownloop.loop.resume_check import Trial
Trial("unused", steps=10, kill=3).kill_if_due(2)
Trial("unused", steps=10, kill=3).kill_if_due(4)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=300)
    assert done.returncode == -signal.SIGKILL


def test_it_is_refused_where_it_makes_no_sense(monkeypatch):
    with pytest.raises(LoopError, match="0 < kills < steps"):
        ol.Loop().check_resume(steps=3, kills=3)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(LoopError, match="outside of a script"):
        ol.Loop().check_resume()


def test_a_report_says_what_to_do():
    assert str(ResumeReport(9, (4,))) == "9 steps, killed at 4: the same bits"
    assert "loop.memory" in str(ResumeReport(9, (4,), "x differs"))
