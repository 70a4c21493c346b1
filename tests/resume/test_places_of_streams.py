"""Streams are known by where a script reads them, and each goes on as its own."""

import functools
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from random_streams import (
    NOT_ON_TENSORFLOW,
    Turning,
    loader,
    torch,
    with_generator,
)

pytestmark = NOT_ON_TENSORFLOW


def two_of_one_name(loop, step):
    """Both under the name that passes have by default."""
    one = loader(generator=torch.Generator().manual_seed(4))
    other = Turning()
    for epoch in loop.epochs(3):
        for data in (one, other):
            yield from epoch.train(step, data, every=1)


def one_of_two_names(loop, step):
    data = with_generator()
    for epoch in loop.epochs(4):
        name = "even" if epoch.number % 2 == 0 else "odd"
        yield from epoch.train(step, data, every=1, name=name)


def one_generator_of_two(loop, step):
    generator = torch.Generator().manual_seed(4)
    data, val = (loader(generator=generator) for _ in range(2))
    for epoch in loop.epochs(3):
        yield from epoch.train(step, data, every=1)
        epoch.validate(step, val)


def also_validated(loop, step):
    """In another process it may be met first where it was not met first."""
    data = with_generator()
    for epoch in loop.epochs(3):
        yield from epoch.train(step, data, every=1)
        epoch.validate(step, data)
        yield from epoch.train(step, data, every=1, name="more")


def act(script, folder, at=None):
    """Run a script; give the numbers of all its passes."""
    loop = ol.Loop(compile=False, observers=[], folder=folder, save=1)
    for chunk in script(loop, lambda x: {"x": keras.ops.sum(x)}):
        if chunk.step == at:
            raise Killed
    steps = loop.history.steps
    return {key: np.asarray(steps[key]).tolist() for key in sorted(steps)}


@pytest.fixture(scope="module")
def whole_script(tmp_path_factory):
    """Return what gives the numbers of a script that nobody killed."""
    return functools.cache(lambda script: act(script, tmp_path_factory.mktemp("whole")))


@pytest.mark.in_turn(of=("jax", "torch"), most=4)
@pytest.mark.parametrize("at", [4, 12, 17, 23, 29])
@pytest.mark.parametrize(
    "script", [two_of_one_name, one_of_two_names, one_generator_of_two, also_validated]
)
def test_streams_are_known_by_their_places(tmp_path, whole_script, script, at):
    with pytest.raises(Killed):
        act(script, tmp_path, at)
    assert act(script, tmp_path) == whole_script(script)


def two_in_turn(epoch, step, vals):
    epoch.train(step, loader()).run()
    yield from vals


def one_in_a_body(epoch, step, vals):
    for _ in epoch.train(step, loader(), every=4):
        yield vals[0]
    yield vals[1]


@pytest.mark.parametrize("order", [two_in_turn, one_in_a_body])
def test_validations_that_are_over_shift_no_other(tmp_path, order):
    """Each of two loaders under one name goes on with its own random numbers."""

    def play(folder, *, is_left=False):
        torch.manual_seed(0)
        vals = [loader(generator=torch.Generator().manual_seed(i)) for i in (4, 5)]
        seen = []

        def val_step(x):
            seen.append(0)
            if is_left and epoch.number == 2 and val is vals[1] and len(seen) == 4:
                signal.raise_signal(signal.SIGTERM)
            return {"x": keras.ops.sum(x) * len(seen)}  # so that the order matters

        loop = ol.Loop(compile=False, observers=[], folder=folder, save=None)
        for epoch in loop.epochs(4):
            for val in order(epoch, lambda x: {"x": keras.ops.sum(x)}, vals):
                seen.clear()
                epoch.validate(val_step, val)
        return loop.history.looks("val_x").value.tolist()

    with pytest.raises(SystemExit):
        play(tmp_path / "left", is_left=True)
    assert play(tmp_path / "left") == play(tmp_path / "whole")
