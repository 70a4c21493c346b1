"""Console: the sentences that a person should read now."""

import io

from ownloop.events import EpochDone, Notice, Started
from ownloop.observers import Console


def test_a_notice_is_one_line_on_standard_error(capsys):
    Console()(Notice("compiling train_step"))
    captured = capsys.readouterr()
    assert captured.err == "ownloop: compiling train_step\n"
    assert captured.out == ""


def test_nothing_else_is_printed():
    stream = io.StringIO()
    console = Console(stream)
    console(Started(epochs_total=3, backend="jax"))
    console(EpochDone(number=1, step=10, row={"loss": 1.0}, seconds=0.1))
    assert stream.getvalue() == ""
