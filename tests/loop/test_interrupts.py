"""A signal comes behind what it must not cut in two, and is known for what it is."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import ownloop as ol
from ownloop.loop.interrupts import held


def run(step):
    loop = ol.Loop(compile=False, observers=())
    for epoch in loop.epochs(1):
        epoch.train(step, [np.zeros((4, 2), "float32")]).run()


def test_an_internal_error_of_python_over_a_ctrl_c_is_the_ctrl_c():
    def step(x):
        try:
            raise KeyboardInterrupt
        finally:
            raise SystemError("bad argument to internal function")

    with pytest.raises(KeyboardInterrupt) as caught:
        run(step)
    assert isinstance(caught.value.__cause__, SystemError)


@pytest.mark.parametrize("kind", [SystemError, ValueError])
def test_another_error_is_itself(kind):
    error = kind("mine")

    def step(x):
        try:
            raise KeyboardInterrupt if kind is ValueError else KeyError
        finally:
            raise error

    with pytest.raises(kind) as caught:
        run(step)
    assert caught.value is error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_are_held_come_at_the_end_and_all_of_them(number):
    heard, before = [], signal.getsignal(number)
    hear = lambda number, frame: heard.append(number)  # noqa: E731
    signal.signal(number, hear)
    try:
        with held():
            for _ in range(2):
                signal.raise_signal(number)
            assert heard == []
        assert heard == [number, number]
        assert signal.getsignal(number) is hear
    finally:
        signal.signal(number, before)


def test_what_a_held_signal_raises_leaves_no_handler_behind():
    def leave(number, frame):
        raise SystemExit(number)

    before = [signal.signal(n, leave) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(SystemExit), held():  # noqa: PT012 - both are held
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        now = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        assert now == [leave, leave]
    finally:
        for number, handler in zip(
            (signal.SIGINT, signal.SIGTERM), before, strict=True
        ):
            signal.signal(number, handler)


@pytest.mark.skipif(os.name == "nt", reason="there nothing is ended by a signal")
def test_a_held_signal_that_ends_the_process_does_so_at_the_end():
    code = (
        "import signal\n"
        "from ownloop.loop.interrupts import held\n"
        "with held():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('to its end', flush=True)\n"
        "print('never', flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False
    )
    assert ended.returncode == -signal.SIGTERM
    assert ended.stdout == "to its end\n"
