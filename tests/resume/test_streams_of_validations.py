"""A validation that did not finish reads its stream again from its beginning."""

import random
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from random_streams import (
    NOT_ON_TENSORFLOW,
    Shuffled,
    by_python,
    loader,
    torch,
    with_generator,
)

pytestmark = NOT_ON_TENSORFLOW


def validated(folder, make_val, at=None, **settings):
    """Train and validate; give numbers of both that hang on the orders of batches.

    In the second epoch something happens at a place of the script.
    """
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    data, val, seen = loader(), make_val(), []
    loop = ol.Loop(compile=False, observers=[], folder=folder, **settings)

    def happens(where):
        return loop.epoch == 2 and where == at

    def train_step(x):
        if happens("first step"):
            raise ValueError("mine")
        return {"x": keras.ops.sum(x)}

    def val_step(x):
        seen.append(x)
        if happens("validation") and len(seen) == 4:
            signal.raise_signal(signal.SIGTERM)
        return {"x": len(seen) * keras.ops.sum(x)}

    for epoch in loop.epochs(3):
        epoch.train(train_step, data).run()
        seen.clear()
        epoch.validate(val_step, val)
        if happens("body"):
            raise Killed
    came = np.asarray(loop.history.steps["train_x"]).tolist()
    results = loop.history["val_x"].tolist()
    return came, results, random.random(), torch.rand(1).item()


VALIDATED = {
    "loader": loader,
    "loader with noise": lambda: loader(noise=True),
    "loader with a generator": with_generator,
    "by python": lambda: Shuffled(by_python),
}


@pytest.mark.parametrize("stream", VALIDATED)
def test_a_validation_that_was_left_draws_the_same_again(tmp_path, stream):
    make = VALIDATED[stream]
    with pytest.raises(SystemExit):
        validated(tmp_path / "left", make, "validation")
    left = validated(tmp_path / "left", make)
    assert left == validated(tmp_path / "whole", make)


@pytest.mark.parametrize("stream", VALIDATED)
def test_a_save_behind_a_validation_is_from_before_its_draws(tmp_path, stream):
    """It is not finished there, and comes again."""
    make, often = VALIDATED[stream], ol.every(ol.minutes(1e-9))
    with pytest.raises(Killed):
        validated(tmp_path / "killed", make, "body", save=often)
    killed = validated(tmp_path / "killed", make)
    assert killed == validated(tmp_path / "whole", make)


def test_a_pass_that_failed_at_once_draws_the_same_again(tmp_path):
    with pytest.raises(ValueError, match="mine"):
        validated(tmp_path / "failed", loader, "first step")
    failed = validated(tmp_path / "failed", loader)
    assert failed == validated(tmp_path / "whole", loader)
