"""`Loop.check_resume`: a script's own processes, killed and compared."""

import json
import re
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.checkpoints import Checkpoint, Entry
from ownloop.errors import LoopError
from ownloop.loop import pace
from ownloop.loop.resume_check import ResumeReport, _difference, _difference_of_logs

SCRIPT = """
import sys, keras, numpy as np, ownloop as ol
ones = keras.layers.Dense(1, kernel_initializer="ones")
model = keras.Sequential([keras.Input((1,)), ones])
optimizer = keras.optimizers.Adam(0.1)
mean = keras.Variable(0.0)
rate = keras.Variable(0.5, trainable=False)
def step(x):
    with ol.GradientTape() as tape:
        loss = rate * keras.ops.mean((model(x) - x) ** 2)
    weights = model.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    mean.assign(0.9 * mean + 0.1 * loss)
    return loss
x = np.arange(160, dtype="float32").reshape(-1, 1) / 160
data = ol.Batches(x, 4, shuffle=True, seed=1)
objects = {"model": model, "optimizer": optimizer, "rate": rate}
loop = ol.Loop(**objects, compile=False, observers=[])
print(loop.check_resume(steps=25, kills=1))
seen = 0
for epoch in loop.epochs(1):
    for chunk in epoch.train(step, data, every=2):
        seen += 1
        if "--forgetful" in sys.argv:
            rate.assign(0.5 / seen)
        loop.print(chunk.step, chunk.last.loss)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "25 steps, killed at 13: the same bits"),
        (["--forgetful"], "rate/0 (variable_1) differs"),
    ],
)
def test_a_script_learns_whether_it_may_be_killed(tmp_path, words, expected):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert expected in first
    assert len(lines) == 20  # After that it trains, from the beginning.


def test_a_script_may_check_and_end(tmp_path):
    script = tmp_path / "script.py"
    call = "print(loop.check_resume(steps=25, kills=1))"
    assert call in SCRIPT
    only = SCRIPT.replace(
        call,
        """
report = loop.check_resume(steps=25, kills=1)
if report.kills:
    print(report)
    sys.exit(not report.is_equal)
""",
    )
    script.write_text(only)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "25 steps, killed at 13: the same bits\n"


def test_a_script_that_ends_in_its_children_is_told_so(tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("import sys\nsys.exit()\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, str(script)])
    with pytest.raises(LoopError) as caught:
        ol.Loop().check_resume()
    words = str(caught.value)
    assert "took no step" in words
    assert "go on to its `loop.epochs` after the call, in the children as well" in words
    assert "`if report.kills: sys.exit()`" in words


def test_a_child_kills_itself_at_its_step():
    code = """
from ownloop.loop.trial import Trial
Trial("unused", steps=10, kill=3).kill_if_due(2)
Trial("unused", steps=10, kill=3).kill_if_due(4)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=300)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("stretch", [0.0, 1e9])
def test_a_child_ends_at_its_last_step_whatever_the_clock_says(
    tmp_path, monkeypatch, stretch
):
    monkeypatch.setattr(pace, "STRETCH_SECONDS", stretch)
    trial = {"folder": str(tmp_path / "trial"), "steps": 6}
    monkeypatch.setenv("OWNLOOP_CHECK_RESUME", json.dumps(trial))
    data = ol.Batches(np.arange(4, dtype="float32"), batch_size=1)
    loop = ol.Loop(compile=False, observers=[])
    loop.check_resume()
    with pytest.raises(SystemExit):  # noqa: PT012
        for epoch in loop.epochs(3):
            epoch.train(lambda x: {"x": keras.ops.sum(x)}, data).run()
    assert loop.step == 6


def test_it_is_refused_where_it_makes_no_sense(monkeypatch):
    with pytest.raises(LoopError, match="0 < kills < steps"):
        ol.Loop().check_resume(steps=3, kills=3)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(LoopError, match="outside of a script"):
        ol.Loop().check_resume()


@pytest.mark.parametrize("numbers", [(9.0, 3), (9, True), ("9", 3), (np.nan, 3)])
def test_steps_and_kills_are_whole_numbers(numbers):
    steps, kills = numbers
    with pytest.raises(LoopError, match=r"got steps=.*whole numbers with.*Write"):
        ol.Loop().check_resume(steps=steps, kills=kills)


def end(tensors=("weight",), **meta):
    entries = {name: Entry(np.zeros(1), "state", f"path of {name}") for name in tensors}
    return Checkpoint(3, entries, {"epoch": 1, "data": {}} | meta)


DIFFERENCES = {
    "a variable is missing": (end(("weight", "b")), end(), "b .path of b. is not in"),
    "a variable is new": (end(), end(("weight", "b")), "b .path of b. is only in"),
    "a found one is new": (end(), end(("weight", "found/7")), "found/0 .* is only in"),
    "a word is missing": (end(flag=[1]), end(), "flag is None and not .1."),
    "a word is new": (end(), end(flag=[1]), "flag is .1. and not None"),
    "a word is another": (end(flag=1), end(flag=2), "flag is 2 and not 1"),
    "data are new": (end(), end(data={"a": 1}), "data is {'a': 1} and not {}"),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_what_only_one_of_two_ends_has_is_a_difference(case):
    whole, cut, words = DIFFERENCES[case]
    assert re.match(words, _difference(whole, cut))


def test_ends_with_the_same_bits_have_no_difference():
    apart = end(("weight", "random/python/0", "reading/0"), kinds={"a": 1})
    assert _difference(end(), end()) is None
    assert _difference(end(), apart) is None  # How it came there is no matter.
    assert _difference(apart, end()) is None


def test_logs_are_compared_byte_by_byte_whatever_the_locale(tmp_path):
    whole, same, other = (tmp_path / name for name in ("whole", "same", "other"))
    for folder, text in ((whole, b"\xe9"), (same, b"\xe9"), (other, b"\xe8")):
        folder.mkdir()
        (folder / "log.txt").write_bytes(text)  # No UTF-8, nor ASCII.
    assert _difference_of_logs(whole, same) is None
    assert _difference_of_logs(whole, other) == "log.txt differs"


def test_a_report_says_what_to_do():
    assert str(ResumeReport(9, (4,))) == "9 steps, killed at 4: the same bits"
    assert "loop.memory" in str(ResumeReport(9, (4,), "x differs"))
