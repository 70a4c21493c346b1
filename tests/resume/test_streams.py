"""Streams that draw random numbers: read again, they give the same batches.

The loaders are PyTorch's, whichever backend trains.
"""

import functools
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import FolderError
from ownloop.events import Notice
from ownloop.resume import randomness

torch_data = pytest.importorskip("torch.utils.data")
torch = pytest.importorskip("torch")


pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="as on JAX: there, too, the loader's generator is not the backend's",
)
IN_TURN = pytest.mark.in_turn(of=("jax", "torch"))


class Rows(torch_data.Dataset):
    """Twenty rows; with noise, drawn anew from every generator at each access."""

    def __init__(self, *, noise=False):
        self.noise = noise

    def __len__(self):
        return 20

    def __getitem__(self, i):
        row = torch.tensor([float(i)])
        if self.noise:
            row = row + torch.rand(1) + np.random.uniform() + random.random()
        return row.float()


class Shuffled:
    """Batches in another order each time, by one of Python's generators."""

    def __init__(self, draw):
        self.draw = draw

    def __iter__(self):
        order = self.draw()
        return (np.full((2, 1), float(i), "float32") for i in order)


class Sized(Shuffled):
    def __len__(self):
        return 10


def by_python():
    return random.sample(range(10), 10)


def by_numpy():
    return np.random.permutation(10)


def by_seed():
    return np.random.default_rng(3).permutation(10)


def loader(**options):
    options = {"batch_size": 2, "shuffle": True, **options}
    noise = options.pop("noise", False)
    return torch_data.DataLoader(Rows(noise=noise), **options)


def with_generator():
    return loader(generator=torch.Generator().manual_seed(4))


def with_sampler():
    generator = torch.Generator().manual_seed(4)
    sampler = torch_data.RandomSampler(Rows(), generator=generator)
    return loader(sampler=sampler, shuffle=False)


class Turning:
    """Batches in an order that depends on how often they were opened in a process."""

    def __init__(self):
        self.times = 0

    def __iter__(self):
        self.times += 1
        order = np.random.default_rng(self.times).permutation(10)
        return (np.full((2, 1), float(i), "float32") for i in order)


class LateTurning(Turning):
    """So by how often they were read."""

    def __iter__(self):
        yield from super().__iter__()


class SizedTurning(Turning):
    def __len__(self):
        return 10


STREAMS = {
    "loader": loader,
    "loader in order": lambda: loader(shuffle=False),
    "loader with noise": lambda: loader(noise=True),
    "by python": lambda: Shuffled(by_python),
    "by numpy": lambda: Sized(by_numpy),
    "by a seed": lambda: Shuffled(by_seed),
    "by how often": Turning,
    "by how often, late": LateTurning,
    "loader with a generator": with_generator,
    "loader with a sampler": with_sampler,
    "by how often, sized": SizedTurning,
}


def play(folder, make, at=None, *, steps=None, looks=None, seed=0, save=1, **settings):
    """Train three epochs over a stream; give what came, and the last random numbers."""
    keras.utils.set_random_seed(seed)
    torch.manual_seed(seed)
    weight, data = keras.Variable(1.0, name="weight"), make()

    def step(x):
        weight.assign(0.9 * weight + keras.ops.mean(x))
        return {"x": keras.ops.sum(x)}

    loop = ol.Loop(
        compile=False, observers=[], folder=folder, save=save, w=weight, **settings
    )
    for epoch in loop.epochs(3):
        for chunk in epoch.train(step, data, every=1, steps=steps):
            if chunk.step == at:
                raise Killed
            if looks is not None:
                looks(epoch, step)
    came = np.asarray(loop.history.steps["train_x"]).tolist()
    return came, random.random(), np.random.uniform(), torch.rand(1).item()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what gives a run that nobody killed, trained when first asked for."""

    @functools.cache
    def train(stream, steps):
        folder = tmp_path_factory.mktemp("whole")
        return play(folder, STREAMS[stream], steps=steps)

    return train


def kill(folder, make, at, **options):
    """Kill a run, and wait until the thread that reads ahead for it is at rest."""
    with pytest.raises(Killed):
        play(folder, make, at, **options)
    before = {}
    while randomness.drawn(before, now := randomness.read()):
        before = now
        time.sleep(0.02)


@IN_TURN
@pytest.mark.parametrize(
    ("steps", "at"), [(None, 2), (None, 11), (None, 21), (6, 11), (6, 17)]
)
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_goes_on_the_same_wherever_it_was_killed(
    tmp_path, whole, stream, at, steps
):
    kill(tmp_path, STREAMS[stream], at, steps=steps)
    assert play(tmp_path, STREAMS[stream], steps=steps) == whole(stream, steps)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="others warn where a process is forked"
)
def test_workers_of_a_loader_draw_the_same(tmp_path):
    def make():
        return loader(num_workers=2, noise=True)

    kill(tmp_path / "killed", make, 14)
    assert play(tmp_path / "killed", make) == play(tmp_path / "whole", make)


WORKERS = """
import time, keras, torch, ownloop as ol

class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, i):
        time.sleep(0.05)
        return torch.tensor([float(i)])

def step(x):
    return {"x": keras.ops.sum(x)}

data = torch.utils.data.DataLoader(Slow(), batch_size=2, num_workers=1)
loop = ol.Loop(folder="run", compile=False, observers=[])
for epoch in loop.epochs(1):
    for chunk in epoch.train(step, data, every=1):
        if chunk.step == 3:
            print("reading", flush=True)
"""


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="others warn where a process is forked"
)
def test_ctrl_c_that_a_loaders_workers_hear_too_is_no_error(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", WORKERS],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout.readline() == "reading\n"
    os.killpg(run.pid, signal.SIGINT)  # As a terminal does.
    _, said = run.communicate(timeout=120)
    assert run.returncode == -signal.SIGINT, said
    assert said.rstrip().endswith("KeyboardInterrupt"), said
    (saved,) = (tmp_path / "run/checkpoints").glob("step-*")
    assert int(saved.name.removeprefix("step-")) >= 3


@IN_TURN
@pytest.mark.parametrize("at", [4, 13])
@pytest.mark.parametrize("stream", ["loader", "by python", "by numpy"])
def test_what_bodies_draw_in_between_is_not_drawn_again(tmp_path, stream, at):
    make = STREAMS[stream]

    def look(epoch, step):
        random.random(), np.random.uniform(), torch.rand(1)
        epoch.validate(step, loader())

    kill(tmp_path / "killed", make, at, looks=look)
    killed = play(tmp_path / "killed", make, looks=look)
    assert killed == play(tmp_path / "whole", make, looks=look)


class ByChance(Sized):
    """Batches in an order that nothing decides."""

    def __init__(self):
        super().__init__(np.random.default_rng().random(10).argsort)


@pytest.mark.parametrize("steps", [None, 6])
def test_a_stream_that_comes_otherwise_is_refused(tmp_path, steps):
    kill(tmp_path, ByChance, 15, steps=steps)
    match = (
        r"cannot be continued exactly: pass 'train': its data, of type ByChance, gave "
        r"other batches when the first \d were read again.*a seed.*'inexact'"
    )
    for _ in range(2):  # A run that was refused stays as it is.
        with pytest.raises(FolderError, match=match):
            play(tmp_path, ByChance, steps=steps)
    came, *_ = play(tmp_path, ByChance, steps=steps, resume="inexact")
    assert len(came) == 3 * (steps or 10)


@pytest.mark.parametrize("at", [3, 14, 21])
def test_loaders_made_anew_for_each_epoch_begin_anew_in_another_process(tmp_path, at):
    def play(folder, at=None):
        loop = ol.Loop(compile=False, observers=[], folder=folder, save=1)
        for epoch in loop.epochs(3):
            data = with_generator()
            for chunk in epoch.train(lambda x: {"x": x[0, 0]}, data, every=1):
                if chunk.step == at:
                    raise Killed
        return np.asarray(loop.history.steps["train_x"]).tolist()

    with pytest.raises(Killed):
        play(tmp_path / "killed", at)
    assert play(tmp_path / "killed") == play(tmp_path / "whole")


def test_a_loop_that_is_entered_again_goes_on_with_any_stream_and_says_so(tmp_path):
    """As in a notebook, where a cell was interrupted and is run once more."""
    said, data = [], Turning()
    loop = ol.Loop(compile=False, observers=[said.append], folder=tmp_path, save=1)

    def cell(at=None):
        for epoch in loop.epochs(2):
            for chunk in epoch.train(lambda x: {"x": x[0, 0]}, data, every=1):
                if chunk.step == at:
                    signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        cell(13)
    cell()
    assert loop.step == 20
    texts = [event.text for event in said if isinstance(event, Notice)]
    (told,) = [text for text in texts if "continuing inexactly" in text]
    assert "of type Turning, gave other batches when the first 3 were read" in told


def test_an_unseeded_stream_is_read_from_the_generator_that_the_run_had(tmp_path):
    kill(tmp_path / "killed", loader, 14)
    killed = play(tmp_path / "killed", loader, seed=99)
    assert killed == play(tmp_path / "whole", loader)


def test_a_run_of_no_folder_keeps_no_marks():
    data = [np.ones((2, 1), "float32")] * 4
    loop, marks = ol.Loop(compile=False, observers=[]), []
    for epoch in loop.epochs(1):
        for _ in (one := epoch.train(lambda x: {"x": x[0, 0]}, data, every=1)):
            marks.append(one._feed.bookmark(1))
    assert marks == [None] * 4


@pytest.mark.parametrize("stream", ["loader", "loader with a generator"])
def test_what_is_read_ahead_of_a_save_is_drawn_again(tmp_path, stream):
    def slow(epoch, step):
        time.sleep(0.01)  # The reader comes to the end long before.

    make = STREAMS[stream]
    kill(tmp_path / "killed", make, 18, looks=slow, save=3)
    killed = play(tmp_path / "killed", make, looks=slow, save=3)
    assert killed == play(tmp_path / "whole", make, looks=slow, save=3)


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


@IN_TURN
@pytest.mark.parametrize("at", [4, 12, 17, 23, 29])
@pytest.mark.parametrize(
    "script", [two_of_one_name, one_of_two_names, one_generator_of_two, also_validated]
)
def test_streams_are_known_by_their_places(tmp_path, whole_script, script, at):
    with pytest.raises(Killed):
        act(script, tmp_path, at)
    assert act(script, tmp_path) == whole_script(script)


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


def test_a_pass_that_failed_at_once_draws_the_same_again(tmp_path):
    with pytest.raises(ValueError, match="mine"):
        validated(tmp_path / "failed", loader, "first step")
    failed = validated(tmp_path / "failed", loader)
    assert failed == validated(tmp_path / "whole", loader)


class Hidden(torch_data.Dataset):
    """Rows with noise from a generator of their own, which nobody knows."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.tensor([i + self.rng.uniform()]).float()


def test_a_state_that_nobody_knows_is_refused_between_epochs_too(tmp_path):
    def make():
        return torch_data.DataLoader(Hidden(), batch_size=2, shuffle=True)

    kill(tmp_path, make, 12, save=None)
    with pytest.raises(FolderError, match=r"give other batches each time, from equal"):
        play(tmp_path, make, save=None)


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


@pytest.mark.parametrize("steps", [None, 20])
def test_what_was_used_is_forgotten_also_where_nothing_is_saved(tmp_path, steps):
    """Each batch that draws leaves states of generators, of kilobytes each."""

    def step(x):
        return {"x": keras.ops.sum(x)}

    def lengths():
        return [
            max(len(m._noted), len(m._moved)) for m in loop._run.data.streams._marks
        ]

    data, val, seen = loader(noise=True, batch_size=1), loader(noise=True), []
    loop = ol.Loop(compile=False, observers=[], folder=tmp_path, save=None)
    for epoch in loop.epochs(2):
        for _ in epoch.train(step, data, every=1, steps=steps):
            seen += lengths()
        epoch.validate(step, val)
        seen += lengths()
    assert len(seen) > 40
    assert max(seen) <= 3


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


class Hiccup:
    """A stream that fails once, for a moment, before a batch of its second opening."""

    def __init__(self, stream, at):
        self.stream, self.at, self.opened = stream, at, 0

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __iter__(self):
        self.opened += 1
        self.fail_at(0)
        for i, batch in enumerate(self.stream):
            yield batch
            self.fail_at(i + 1)

    def fail_at(self, place):
        if (self.opened, place) == (2, self.at):
            raise OSError("the network is away")


def play_on(folder, make, hiccup, at=None):
    """Train six epochs of six steps each, and take no notice of what is away."""
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    weight, failed = keras.Variable(1.0, name="weight"), []
    data = Hiccup(make(), hiccup)

    def step(x):
        weight.assign(0.9 * weight + keras.ops.mean(x))
        return {"x": keras.ops.sum(x)}

    loop = ol.Loop(compile=False, observers=[], folder=folder, save=1, w=weight)
    for epoch in loop.epochs(6):
        try:
            for chunk in epoch.train(step, data, every=1, steps=6):
                if chunk.step == at:
                    raise Killed
        except OSError:
            failed.append(epoch.number)
    came = np.asarray(loop.history.steps["train_x"]).tolist()
    return failed, came, (random.random(), np.random.uniform(), torch.rand(1).item())


@pytest.mark.parametrize(
    ("stream", "hiccup"),
    [
        *((stream, 3) for stream in STREAMS),
        *((stream, at) for stream in ("loader", "by how often") for at in (0, 10)),
    ],
)
def test_a_stream_that_was_away_goes_on_behind_what_it_gave(tmp_path, stream, hiccup):
    make = STREAMS[stream]
    failed, came, ends = play_on(tmp_path / "whole", make, hiccup)
    assert len(failed) == 1
    assert len(came) == 30 + (10 + hiccup) % 6
    if "how often" not in stream:
        _, expected, _ = play_on(None, make, None)
        assert came == expected[: len(came)]
    with pytest.raises(Killed):
        play_on(tmp_path / "killed", make, hiccup, len(came) - 10)
    assert play_on(tmp_path / "killed", make, None) == ([], came, ends)


@pytest.mark.parametrize("stream", ["loader", "by numpy"])
def test_so_where_nothing_is_kept(stream):
    failed, came, _ = play_on(None, STREAMS[stream], 3)
    _, expected, _ = play_on(None, STREAMS[stream], None)
    assert failed == [3]
    assert came == expected[:31]
