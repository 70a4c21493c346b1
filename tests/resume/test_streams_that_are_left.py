"""A pass that is left has drawn what it has used, however far it was read ahead."""

import gc
import threading
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from random_streams import NOT_ON_TENSORFLOW, Rows, Turning, loader, torch, torch_data

pytestmark = NOT_ON_TENSORFLOW


def test_a_generator_that_a_pass_has_left_is_gone_on_with(tmp_path):
    def endless():
        number = 0
        while True:
            number += 1
            yield np.full((2, 1), float(number), "float32")

    data, came = endless(), []
    loop = ol.Loop(compile=False, observers=[], folder=tmp_path, save=1)
    for epoch in loop.epochs(2):
        for chunk in epoch.train(lambda x: {"x": x[0, 0]}, data, every=1):
            came.append(int(chunk.last.x))
            if chunk.batch == 3:
                break
    assert came[:3] == [1, 2, 3]
    assert came[3:] == list(range(came[3], came[3] + 3))


@pytest.mark.parametrize("folder", [None, "run"])
def test_looks_do_not_change_what_a_stream_draws(tmp_path, folder):
    """A stream that draws for each batch is not read ahead of the script."""

    def play(name, pause):
        keras.utils.set_random_seed(0)
        torch.manual_seed(0)
        path = None if folder is None else tmp_path / name
        loop = ol.Loop(compile=False, observers=[], folder=path)
        data, val, drawn = loader(noise=True), loader(), []
        for epoch in loop.epochs(2):
            for chunk in epoch.train(lambda x: {"x": keras.ops.sum(x)}, data, every=2):
                time.sleep(pause)
                epoch.validate(lambda x: {"x": keras.ops.sum(x)}, val)
                drawn.append(torch.rand(1).item())
                if chunk.batch == 6:
                    break
        return np.asarray(loop.history.steps["train_x"]).tolist(), drawn

    assert play("quick", 0) == play("slow", 0.02)


class Unhurried(Rows):
    """Rows that take a while, so that a body that takes none is ahead of the reader."""

    def __getitem__(self, i):
        time.sleep(0.003)
        return super().__getitem__(i)


def in_turn(generator):
    sampler = torch_data.RandomSampler(Unhurried(), generator=generator)
    return torch_data.DataLoader(Unhurried(), batch_size=2, sampler=sampler)


def with_replacement(generator):
    """Draws for 32 rows at once."""
    sampler = torch_data.RandomSampler(
        Unhurried(), replacement=True, num_samples=70, generator=generator
    )
    return torch_data.DataLoader(Unhurried(), batch_size=2, sampler=sampler)


@pytest.mark.in_turn(of=("jax", "torch"), most=3)
@pytest.mark.parametrize("folder", [None, "run"])
@pytest.mark.parametrize(
    ("make", "at"), [(in_turn, 9), (in_turn, 10), (with_replacement, 15)]
)
def test_a_pass_that_is_left_has_drawn_what_it_has_used(tmp_path, folder, make, at):
    """However far its loader was read ahead, which may have met its end."""

    def play(name, pause, kill=None):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(4)
        path = None if folder is None else tmp_path / name
        loop = ol.Loop(compile=False, observers=[], folder=path, save=1)
        data = make(generator)
        for epoch in loop.epochs(3):
            for chunk in epoch.train(lambda x: {"x": keras.ops.sum(x)}, data, every=1):
                if chunk.step == kill:
                    time.sleep(pause)
                    raise Killed
                if chunk.batch == at:
                    time.sleep(pause)
                    break
        came = np.asarray(loop.history.steps["train_x"]).tolist()
        return came, torch.rand(1, generator=generator).item()

    quick = play("quick", 0)
    assert play("slow", 0.04) == quick
    if folder is not None:
        for kill in (2 * at - 2, 2 * at):
            with pytest.raises(Killed):
                play(f"killed {kill}", 0.04, kill)
            assert play(f"killed {kill}", 0) == quick


def test_what_others_have_drawn_meanwhile_stays_drawn():
    generator, drawn = torch.Generator().manual_seed(4), set()
    data, loop = in_turn(generator), ol.Loop(compile=False, observers=[])
    for epoch in loop.epochs(2):
        for chunk in epoch.train(lambda x: {"x": keras.ops.sum(x)}, data, every=1):
            time.sleep(0.02)
            drawn.add(torch.rand(1, generator=generator).item())
            if chunk.batch == 9:
                break
    assert len(drawn) == 18


def test_a_loop_that_is_forgotten_leaves_no_thread_behind(tmp_path):
    def feeds():
        return {t for t in threading.enumerate() if t.name == "ownloop-feed"}

    others = feeds()
    loop = ol.Loop(compile=False, observers=[], folder=tmp_path)
    for epoch in loop.epochs(1):
        epoch.train(lambda x: {"x": x[0, 0]}, Turning(), steps=3).run()
    assert feeds() - others
    del loop, epoch
    gc.collect()
    assert not feeds() - others
