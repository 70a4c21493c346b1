"""What is built in parts goes on with its own values, whichever part comes first."""

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed, end_of_process
from ownloop.errors import CheckpointError

layers, ops = keras.layers, keras.ops
ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
DATA = ol.Batches(ROWS, batch_size=2)


def network():
    return keras.Sequential([layers.Dense(3, "tanh"), layers.Dense(3)])


class WithAnotherHead(keras.Model):
    """Has a head that only training uses."""

    def __init__(self, units=3):
        super().__init__()
        self.body, self.other = layers.Dense(4), layers.Dense(units)
        self.head = layers.Dense(3)

    def call(self, x, training=False):
        hidden = self.body(x)
        out = self.head(hidden)
        return (out, self.other(hidden)) if training else out


class Pair(keras.Model):
    """Has two networks, and a call of its own that only validations use."""

    def __init__(self):
        super().__init__()
        self.maker, self.judge = network(), network()

    def call(self, x):
        return self.maker(x) * 2.0


class Pairs(keras.Model):
    """Is never called, and neither is what it has."""

    def __init__(self):
        super().__init__()
        self.pairs = [Pair()]
        self.maker, self.judge = self.pairs[0].maker, self.pairs[0].judge


def stepped(forward, weights, optimizer):
    """Returns a step that trains some weights."""

    def step(x):
        with ol.GradientTape() as tape:
            loss = sum(ops.mean((out - 1.0) ** 2) for out in forward(x))
        present = weights().trainable_variables
        optimizer.apply(tape.gradient(loss, present), present)
        return loss

    return step


def of_two_heads(model, optimizers):
    return [stepped(lambda x: model(x, training=True), lambda: model, optimizers[0])]


def of_two_networks(model, optimizers):
    def judged(x):
        return [model.judge(x)]

    def made(x):
        return [model.judge(model.maker(x))]

    judge = stepped(judged, lambda: model.judge, optimizers[0])
    return [judge, stepped(made, lambda: model.maker, optimizers[1])]


def values_of(*things):
    return [ops.convert_to_numpy(v).tolist() for t in things for v in t.variables]


def play(folder, make, steps_of, at=None, *, first=False, after=False, **how):
    """Trains two epochs, one pass for each step; leaves its process at a step."""
    keras.utils.set_random_seed(1)
    model, optimizers = make(), [keras.optimizers.Adam(0.1) for _ in range(2)]
    owned = {"first": optimizers[0], "second": optimizers[1]}
    steps, heads = steps_of(model, optimizers), {}

    def look(x):
        return {"mean": ops.mean(model(x))}

    loop = ol.Loop(folder=folder, observers=[], save=1, model=model, **owned, **how)
    try:
        for epoch in loop.epochs(2):
            heads[epoch.number] = values_of(model)
            if first:
                epoch.validate(look, DATA, name="first")
            for i, step in enumerate(steps):
                for chunk in epoch.train(step, DATA, every=1, name=f"train{i}"):
                    if chunk.step == at:
                        raise Killed
            if after:
                epoch.validate(look, DATA)
    finally:
        end_of_process(loop)
    names = [name for name in loop.history.names if not name.startswith("seconds")]
    seen = [loop.history[name].tolist() for name in names]
    return heads, (seen, values_of(model, *optimizers))


def compare(folder, *arguments, at, **how):
    """Says whether a killed run ends as one that was not."""
    with pytest.raises(Killed):
        play(folder / "killed", *arguments, at=at, **how)
    heads, killed = play(folder / "killed", *arguments, **how)
    whole, expected = play(folder / "whole", *arguments, **how)
    assert killed == expected
    return heads, whole


# Keras' own word on such a model, where it is validated first.
@pytest.mark.filterwarnings("ignore:.*it looks like it has unbuilt state")
@pytest.mark.in_turn
@pytest.mark.parametrize(
    ("units", "first", "compile"),
    [(3, True, False), (2, False, False), (3, False, True)],
)
def test_a_head_that_only_training_uses_has_its_own_values(
    tmp_path, units, first, compile
):
    how = {"first": first, "after": True, "compile": compile}
    compare(tmp_path, lambda: WithAnotherHead(units), of_two_heads, at=6, **how)


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [False, True])
def test_networks_that_a_pass_each_builds_have_their_own_values(tmp_path, compile):
    compare(tmp_path, Pair, of_two_networks, at=10, compile=compile)


@pytest.mark.in_turn
@pytest.mark.parametrize("make", [Pair, Pairs])
def test_the_script_sees_the_weights_of_networks_that_were_called(tmp_path, make):
    # It goes on where the first epoch ends, in whose passes they were built.
    heads, whole = compare(tmp_path, make, of_two_networks, at=9, compile=False)
    assert heads[2] == whole[2]


@pytest.mark.once(on="torch")
def test_a_network_that_was_called_before_its_model_is_built_by_itself(tmp_path):
    how = {"after": True, "compile": False}
    compare(tmp_path, Pair, of_two_networks, at=10, **how)


def trained(folder, at=None, *, since, later=True):
    """Trains for three epochs; in the second's head a rate becomes a schedule."""
    keras.utils.set_random_seed(1)
    model, optimizer = keras.Sequential([keras.Input((3,)), network()]), None
    optimizer = keras.optimizers.Adam(0.1)
    step = stepped(lambda x: [model(x)], lambda: model, optimizer)
    loop = ol.Loop(
        folder=folder,
        observers=[],
        save=1,
        compile=False,
        model=model,
        optimizer=optimizer,
    )
    try:
        for epoch in loop.epochs(3):
            if epoch.number == since or (later and epoch.number > since):
                schedule = keras.optimizers.schedules.CosineDecay(0.1, 12)
                optimizer.learning_rate = schedule
            elif epoch.number == 1:
                optimizer.learning_rate = 0.05
            for _ in epoch.train(step, DATA, every=1):
                if loop.step == at:
                    raise Killed
    finally:
        end_of_process(loop)
    return loop.history.steps["train_loss"].tolist(), values_of(model, optimizer)


@pytest.mark.in_turn
@pytest.mark.parametrize("at", [2, 5, 7, 11])
def test_a_run_goes_on_whose_rate_has_become_a_schedule(tmp_path, at):
    with pytest.raises(Killed):
        trained(tmp_path / "killed", at, since=2)
    killed = trained(tmp_path / "killed", since=2)
    assert killed == trained(tmp_path / "whole", since=2)


@pytest.mark.once(on="torch")
def test_a_schedule_that_the_script_does_not_set_again_is_asked_for(tmp_path):
    with pytest.raises(Killed):
        trained(tmp_path, 11, since=2, later=False)
    before = sorted(tmp_path.rglob("*.safetensors"))
    words = r"optimizer/learning_rate .* not in it: the run had a schedule by then"
    with pytest.raises(CheckpointError, match=words):
        trained(tmp_path, since=2, later=False)
    # What was refused is not saved, so that the right script can go on with it.
    assert sorted(tmp_path.rglob("*.safetensors")) == before
    assert len(trained(tmp_path, since=2)[0]) == 12


def test_values_that_were_kept_come_back_under_a_schedule():
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([keras.Variable([1.0, 2.0])])
    loop = ol.Loop(observers=[], optimizer=optimizer)
    loop.save("plain")
    optimizer.learning_rate = 0.2
    loop.load("plain")
    assert float(ops.convert_to_numpy(optimizer.learning_rate)) == pytest.approx(0.1)
    optimizer.iterations.assign(5)
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 12)
    loop.load("plain")
    assert values_of(optimizer) == [0, [0, 0], [0, 0]]
    loop.save("scheduled")
    loop.load("scheduled")


class OnDemand(keras.Model):
    """Makes its networks when they are asked for, in whatever order."""

    def of(self, name):
        if not hasattr(self, name):
            setattr(self, name, network())
        return getattr(self, name)


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [False, True])
def test_networks_that_are_made_in_another_order_are_refused(tmp_path, compile):
    def train(at=None):
        model = OnDemand()
        steps = [
            stepped(
                lambda x, name=name: [model.of(name)(x)],
                lambda name=name: model.of(name),
                keras.optimizers.SGD(0.1),
            )
            for name in ("one", "two")
        ]
        loop = ol.Loop(
            folder=tmp_path, observers=[], save=1, compile=compile, model=model
        )
        try:
            for epoch in loop.epochs(2):
                for i in (0, 1) if epoch.number == 1 else (1, 0):
                    for _ in epoch.train(steps[i], DATA, every=1, name=f"train{i}"):
                        if loop.step == at:
                            raise Killed
        finally:
            end_of_process(loop)

    with pytest.raises(Killed):
        train(10)
    saved = sorted(tmp_path.rglob("*.safetensors"))
    with pytest.raises(CheckpointError, match="model/0 was held by `one` and is by `t"):
        train()
    # What may be wrong by then is not saved.
    assert sorted(tmp_path.rglob("*.safetensors")) == saved
