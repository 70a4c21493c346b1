"""Progress: a bar on a terminal, one line per finished pass elsewhere."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from ownloop.events import ChunkDone, EpochDone, PassDone, Started, Stopped
from ownloop.observers import Progress
from ownloop.observers.displays import AbstractDisplay

pty = pytest.importorskip("pty", reason="pseudo-terminals exist on Unix only")

LOOP = """
import sys, time
if "{kind}" == "plain":
    sys.modules["rich"] = sys.modules["rich.progress"] = None
from ownloop.events import *
from ownloop.observers import Console, Progress
observers = [Console(), Progress()]
before = sys.stdout, sys.stderr

def tell(event):
    for observer in observers:
        observer(event)

def chunk(name, batch, batches, loss):
    time.sleep(0.11)
    tell(ChunkDone(epoch=1, epochs_total=2, pass_name=name, batch=batch,
                   batches=batches, step=batch, seconds=0.1, last={{}},
                   mean={{"loss": loss}}))

tell(Started(epochs_total=2, backend="jax"))
tell(Notice("compiling train_step"))
chunk("train", 300, 900, 0.75)
print("the user's first line")
chunk("train", 600, 900, 0.5)
print("half a line, ", end="")
chunk("val", 5, None, 2.0)
print("and its other half")
tell(Notice("said in between"))
tell(PassDone(epoch=1, pass_name="val", step=600, values={{"loss": 2.0}}, seconds=0.1))
chunk("train", 900, 900, 0.25)
tell(PassDone(epoch=1, pass_name="train", step=900, values={{"loss": 0.25}},
              seconds=1.0))
tell(EpochDone(number=1, step=900, row={{}}, seconds=1.0))
assert before == (sys.stdout, sys.stderr), "the streams were not given back"
print("the last line")
"""


def on_a_terminal(kind: str) -> str:
    """Run LOOP with all three streams on a pseudo-terminal; return what it wrote."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP.format(kind=kind)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0, written.decode()
    return written.decode()


def visible(written: str) -> list[str]:
    """The lines that stay on the screen: an erased line loses what stood on it."""
    screen, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if token == "\n":
            row += 1
            if row == len(screen):
                screen.append("")
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1] or 1)
        elif token == "\x1b[2K":
            screen[row] = ""
        elif token[0] not in "\x1b\r":
            screen[row] += token
    return [line.rstrip() for line in screen if line.strip()]


@pytest.mark.parametrize("kind", ["rich", "plain"])
def test_on_a_terminal_the_bar_goes_and_the_lines_stay(kind):
    if kind == "rich":
        pytest.importorskip("rich", reason="the extra `cli` is not installed")
    written = on_a_terminal(kind)
    assert "600/900" in written
    assert "loss 0.5000" in written
    assert "steps/s" in written
    assert visible(written) == [
        "ownloop: compiling train_step",
        "the user's first line",
        "half a line, and its other half",
        "ownloop: said in between",
        "epoch 1/2 val: loss 2.0000, 5 batches, 0.1 s",
        "epoch 1/2 train: loss 0.2500, 900 batches, 1.0 s",
        "the last line",
    ]


def chunk(batch: int, **mean: object) -> ChunkDone:
    return ChunkDone(
        epoch=1,
        epochs_total=None,
        pass_name="train",
        batch=batch,
        batches=None,
        step=batch,
        seconds=0.5,
        last={},
        mean=mean,
    )


def test_elsewhere_there_is_one_plain_line_per_pass():
    stream = io.StringIO()
    progress = Progress(stream)
    progress(Started(epochs_total=10, backend="jax"))
    for batch in range(1, 50):
        progress(chunk(batch, loss=1.0))
    values = {"loss": np.float32(1), "accuracy": 0.5, "matrix": np.eye(2)}
    progress(
        PassDone(epoch=1, pass_name="train", step=49, values=values, seconds=1234.56)
    )
    progress(EpochDone(number=1, step=49, row={}, seconds=2.0))
    progress(Stopped(reason="all epochs done", step=49, epoch=1))
    assert stream.getvalue() == (
        "epoch 1/10 train: loss 1.0000, accuracy 0.5000, 49 batches, 1234.6 s\n"
    )


class Screen(AbstractDisplay):
    """Remember the words of each bar."""

    def __init__(self):
        self.words = []

    def show(self, key, bar):
        self.words.append(bar.words)

    def finish(self, key, line):
        pass

    def close(self):
        pass


def test_the_rate_begins_with_the_first_chunks_end(monkeypatch):
    screen = Screen()
    where = "ownloop.observers.progress.display_for"
    monkeypatch.setattr(where, lambda stream: screen)
    progress = Progress()
    # An earlier process has done 200 batches, and the first ten were compiled as well.
    for batch in (210, 220, 240):
        progress(chunk(batch, loss=1.0))
    assert screen.words == [
        "loss 1.0000",
        "loss 1.0000  20 steps/s",
        "loss 1.0000  30 steps/s",
    ]


def test_one_batch_is_no_batches():
    stream = io.StringIO()
    progress = Progress(stream)
    progress(chunk(1, loss=1.0))
    progress(PassDone(epoch=1, pass_name="train", step=1, values={}, seconds=1.0))
    assert stream.getvalue() == "epoch 1 train: 1 batch, 1.0 s\n"


def test_a_pass_outside_any_epoch_has_its_name_only():
    stream = io.StringIO()
    done = PassDone(
        epoch=None, pass_name="test", step=7, values={"loss": 2e-5}, seconds=0.04
    )
    Progress(stream)(done)
    assert stream.getvalue() == "test: loss 2.000e-05, 0.0 s\n"


def test_a_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    Progress(stream)(chunk(1, loss=1.0))
    assert stream.getvalue() == ""
