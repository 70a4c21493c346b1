"""`tf.data` that shuffles: each epoch has its order, wherever it was killed."""

import functools

import keras
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import LoopError

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the data are TensorFlow's"
)


def numbers(**options):
    import tensorflow as tf  # slow, and of no use on other backends

    return tf.data.Dataset.range(20).shuffle(20, **options).batch(4)


DATA = {
    "no seed of its own": numbers,
    "a seed": lambda: numbers(seed=5),
    "a seed, the same each time": lambda: numbers(
        seed=5, reshuffle_each_iteration=False
    ),
    "a seed, read ahead": lambda: numbers(seed=5).prefetch(2).map(lambda x: x + 1),
    "a seed, without a length": lambda: numbers(seed=5).filter(lambda x: True),
}


def play(folder, make, at=None, steps=None, between=None, save=1):
    """Train four epochs; give the numbers that came."""
    keras.utils.set_random_seed(1)  # TensorFlow's global seed, too.
    data = make()
    loop = ol.Loop(compile=False, observers=[], folder=folder, save=save)
    for epoch in loop.epochs(4):
        if between is not None:
            data = between(data)
        for chunk in epoch.train(
            lambda x: {"x": keras.ops.sum(x)}, data, every=1, steps=steps
        ):
            if chunk.step == at:
                raise Killed
    return loop.history.steps["train_x"].tolist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what gives a run that nobody killed, trained when first asked for."""

    @functools.cache
    def train(data, steps):
        return play(tmp_path_factory.mktemp("whole"), DATA[data], steps=steps)

    return train


@pytest.mark.in_turn(of=("tensorflow",), most=8)
@pytest.mark.parametrize(
    ("steps", "at"), [(None, 6), (None, 8), (None, 11), (None, 18), (3, 5), (3, 11)]
)
@pytest.mark.parametrize("data", DATA)
def test_each_epoch_has_its_order(tmp_path, whole, data, steps, at):
    make = DATA[data]
    with pytest.raises(Killed):
        play(tmp_path, make, at, steps)
    assert play(tmp_path, make, steps=steps) == whole(data, steps)


def anew(data):
    return numbers(seed=5)


def test_data_made_anew_for_each_epoch_begin_anew_in_another_process(tmp_path):
    with pytest.raises(Killed):
        play(tmp_path / "killed", numbers, 13, between=anew)
    killed = play(tmp_path / "killed", numbers, between=anew)
    assert killed == play(tmp_path / "whole", numbers, between=anew)


def test_so_after_one_epoch_or_a_mistake_is_an_error(tmp_path):
    with pytest.raises(Killed):
        play(tmp_path, numbers, 6, between=anew, save=None)
    with pytest.raises(
        LoopError, match=r"'train' got other data, a .*once, before the epochs.*anew"
    ):
        play(tmp_path, numbers, between=anew)
