"""Passes of `steps` over the same data: each batch is used once, and in order."""

import tempfile

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed
from ownloop.errors import LoopError, NonFiniteError
from ownloop.loop import pace

KINDS = ["arrays", "mapped", "list", "iterator"]


def data_of(kind, first=0):
    numbers = np.arange(first, first + 30, dtype="float32")
    if kind == "list":
        return [number.reshape(1) for number in numbers]
    if kind == "iterator":
        return iter([number.reshape(1) for number in numbers])
    if kind == "mapped":
        with tempfile.TemporaryFile() as file:
            numbers.tofile(file)
            numbers = np.memmap(file, dtype="float32")
    return ol.Batches(numbers, batch_size=1)


@pytest.fixture(params=[0.9, 0.0], ids=["long stretches", "single steps"])
def stretches(request, monkeypatch):
    monkeypatch.setattr(pace, "STRETCH_SECONDS", request.param)


class Script:
    """A weight whose value tells in which order batches came, and what came."""

    def __init__(self, folder=None, **settings):
        self.weight = keras.Variable(1.0, name="weight")
        self.came = {}
        self.loop = ol.Loop(
            compile=False,
            observers=[],
            folder=folder,
            save=1,
            weight=self.weight,
            **settings,
        )

    def step(self, x):
        self.weight.assign(self.weight * 0.9 + 0.1 * keras.ops.sum(x))
        return {"x": keras.ops.sum(x), "loss": keras.ops.sum(self.weight.value)}

    def numbers(self, name):
        return self.loop.history.steps[f"{name}_x"].astype(int).tolist()

    def end(self):
        steps = self.loop.history.steps
        numbers = {key: steps[key].tolist() for key in sorted(steps)}
        return float(keras.ops.convert_to_numpy(self.weight)), numbers


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_within_a_pass_takes_the_batches_that_come_next(kind, stretches):
    script, data, looks = Script(), data_of(kind), 0
    for epoch in script.loop.epochs(1):
        for _ in epoch.train(script.step, data, steps=9, every=4, name="outer"):
            looks += 1
            epoch.train(script.step, data, steps=2, name="inner").run()
    assert looks == 3
    assert script.numbers("outer") == [0, 1, 2, 3, 6, 7, 8, 9, 12]
    assert script.numbers("inner") == [4, 5, 10, 11, 13, 14]


@pytest.mark.parametrize("kind", KINDS)
def test_passes_side_by_side_take_the_batches_in_turn(kind, stretches):
    script, data = Script(), data_of(kind)
    for epoch in script.loop.epochs(1):
        one = epoch.train(script.step, data, steps=4, every=2, name="one")
        two = epoch.train(script.step, data, steps=6, every=3, name="two")
        assert len(list(zip(one, two, strict=True))) == 2
    assert script.numbers("one") == [0, 1, 5, 6]
    assert script.numbers("two") == [2, 3, 4, 7, 8, 9]


def caught(script, data, ends, at=None):
    """Three epochs, in the first of which a step fails at the number 7."""
    failing = []

    def step(x):
        if failing and float(keras.ops.convert_to_numpy(x)[0]) == 7:
            if ends == "error":
                raise ValueError("seven")
            return script.step(x) | {"loss": keras.ops.sum(x) * np.nan}
        return script.step(x)

    for epoch in script.loop.epochs(3):
        failing[:] = [1] if epoch.number == 1 else []
        try:
            for _ in epoch.train(step, data, steps=10, every=5):
                if script.loop.step == at:
                    raise Killed
        except (ValueError, NonFiniteError):
            assert epoch.number == 1
    return script.numbers("train")


@pytest.mark.parametrize("ends", ["error", "nan"])
@pytest.mark.parametrize("kind", KINDS)
def test_after_an_error_that_was_caught_no_batch_is_lost(kind, ends, stretches):
    numbers = caught(Script(), data_of(kind), ends)
    assert len(numbers) in range(25, 28)
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_stops_before_a_bad_step_goes_on_with_its_batch(kind, stretches):
    script, data, good = Script(nonfinite="stop"), data_of(kind), []

    def step(x):
        number = float(keras.ops.convert_to_numpy(x)[0])
        found = script.step(x)
        return found if good or number != 7 else found | {"loss": found["x"] * np.nan}

    for total in (1, 2):
        for epoch in script.loop.epochs(total):
            epoch.train(step, data, steps=10).run()
        good.append(True)
    assert script.numbers("train") == list(range(17))


@pytest.mark.parametrize("ends", ["error", "nan"])
@pytest.mark.parametrize("kind", ["arrays", "mapped", "list"])
def test_a_run_that_caught_an_error_and_was_killed_ends_the_same(tmp_path, kind, ends):
    def play(name, at=None):
        script = Script(folder=tmp_path / name)
        caught(script, data_of(kind), ends, at)
        return script.end()

    expected = play("whole")
    steps = len(expected[1]["train_x"])
    for at in (steps - 15, steps - 5):
        with pytest.raises(Killed):
            play(f"killed {at}", at)
        assert play(f"killed {at}") == expected


NESTED = {
    "a name within and after": [("a", "b"), ("b", None)],
    "two bodies of one name": [("a", "b"), ("a", "b")],
    "one before as well": [("b", None), ("a", "b"), ("b", None), ("b", None)],
}


def nested(script, kind, order, at=None):
    """Three epochs of passes, each with data of its own, and some with a body."""
    loop = script.loop
    data = [[data_of(kind, 100 * i), data_of(kind, 100 * i + 50)] for i in range(4)]
    for epoch in loop.epochs(3):
        for (name, within), (mine, other) in zip(order, data, strict=False):
            for _ in epoch.train(script.step, mine, steps=3, every=2, name=name):
                if within is not None:
                    epoch.train(script.step, other, steps=1, name=within).run()
                if loop.step == at:
                    raise Killed
    return script.end()


@pytest.mark.in_turn(of=("jax",), most=2)
@pytest.mark.parametrize(
    ("kind", "order"),
    [("arrays", "a name within and after"), *(("list", order) for order in NESTED)],
)
def test_data_used_in_a_body_that_is_skipped_are_taken_for_no_others(
    tmp_path, kind, order
):
    def play(name, at=None):
        return nested(Script(folder=tmp_path / name), kind, NESTED[order], at)

    expected = play("whole")
    steps = sum(len(numbers) for key, numbers in expected[1].items() if "loss" in key)
    looks = 0
    for at in range(steps // 3 - 3, 2 * steps // 3 + 1):
        try:
            play(f"killed {at}", at)
        except Killed:
            looks += 1
            assert play(f"killed {at}") == expected
    assert looks > 2 * len(NESTED[order])


@pytest.mark.parametrize(
    ("kind", "at"), [("arrays", 5), ("arrays", 13), ("list", 5), ("list", 13)]
)
def test_data_of_a_body_that_come_outside_of_it_are_known_or_an_error(
    tmp_path, kind, at
):
    def play(name, at=None):
        script = Script(folder=tmp_path / name)
        first, between, shared = (data_of(kind, 100 * i) for i in range(3))
        for epoch in script.loop.epochs(3):
            for _ in epoch.train(script.step, first, steps=2, name="a"):
                epoch.train(script.step, shared, steps=1, name="b").run()
            for chunk in epoch.train(script.step, between, steps=2, every=1, name="c"):
                if chunk.step == at:
                    raise Killed
            epoch.train(script.step, shared, steps=3, name="d").run()
        return script.end()

    with pytest.raises(Killed):
        play("killed", at)
    if at > 8 or kind == "arrays":
        assert play("killed") == play("whole")
        return
    match = r"'b'.*epoch 2.*taken for new ones in epoch 1.*start the run anew"
    with pytest.raises(LoopError, match=match):
        play("killed")


@pytest.mark.parametrize("at", [4, 5, 6])
def test_arrays_that_come_under_another_name_in_another_round_are_gone_on_with(
    tmp_path, at
):
    def play(name, at=None):
        script = Script(folder=tmp_path / name)
        data = data_of("arrays")
        for epoch in script.loop.epochs(1):
            epoch.train(script.step, data, steps=3, name="warm").run()
        for epoch in script.loop.epochs():
            for chunk in epoch.train(script.step, data, steps=3, every=1):
                if chunk.step == at:
                    raise Killed
            if epoch.number == 3:
                break
        return script.end()

    with pytest.raises(Killed):
        play("killed", at)
    assert play("killed") == play("whole")
