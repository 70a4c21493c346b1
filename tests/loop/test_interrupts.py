"""What a framework makes of a Ctrl-C is Ctrl-C, and nothing else is taken for one."""

import numpy as np
import pytest

import ownloop as ol


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
