"""A run is only gone on with where its objects have the settings that they had."""

import functools
import os
import re
import signal

import keras
import numpy as np
import pytest

import ownloop as ol
from killed import Killed, end_of_process
from ownloop.checkpoints import Store
from ownloop.errors import FolderError
from ownloop.events import Notice
from ownloop.folder import Layout
from ownloop.loop import continuation

Dense = keras.layers.Dense
DATA = ol.Batches(np.arange(8, dtype="float32"), batch_size=2)


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "run/checkpoints").glob("step-*"))


def run_with(tmp_path, rate, *, decay=0.0, leave=True, resume=True, layer=None):
    """Run an epoch more over a layer with a setting, as another process would."""
    said = []
    name = f"drop_{len(names(tmp_path))}"
    layer = layer or keras.layers.Dropout(rate, name=name, seed=1)
    optimizer = keras.optimizers.SGD(0.1, weight_decay=decay)
    loop = ol.Loop(
        folder=tmp_path / "run",
        observers=[lambda e: said.append(e.text) if isinstance(e, Notice) else None],
        compile=False,
        resume=resume,
        layer=layer,
        optimizer=optimizer,
    )
    try:
        for epoch in loop.epochs(loop.epoch + 1 + len(names(tmp_path))):
            epoch.train(lambda x: {"mean": keras.ops.mean(layer(x))}, DATA).run()
            layer.rate = 0.9  # What the script changes on its way is its own.
    finally:
        if leave:
            end_of_process(loop)
    return said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate": 0.4}, "drop.rate was 0.3 and is 0.4"),
        ({"decay": 0.5}, "sgd.weight_decay was 0.0 and is 0.5"),
    ],
)
def test_another_setting_of_an_object_is_refused_by_name(tmp_path, change, words):
    run_with(tmp_path, 0.3)
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        run_with(tmp_path, **{"rate": 0.3} | change)
    said = run_with(tmp_path, **{"rate": 0.3} | change, resume="inexact")
    assert any(f"continuing inexactly, since {words}" in text for text in said)


def test_equal_settings_go_on_also_where_the_script_changes_them(tmp_path):
    for _ in range(3):
        run_with(tmp_path, 0.3)


def test_a_cell_run_again_may_have_changed_settings_before(tmp_path):
    layer = keras.layers.Dropout(0.3, seed=1)
    run_with(tmp_path, 0.3, leave=False, layer=layer)
    assert layer.rate == 0.9
    run_with(tmp_path, 0.3, layer=layer)


def train(
    tmp_path,
    step_of,
    data_of,
    *,
    killed_in=None,
    asked=False,
    name="run",
    observers=(),
):
    """Train five epochs, each with a step and data of its own."""
    weight = keras.Variable(1.0, name="weight")

    def main_step(x):
        weight.assign(weight * 0.9 + 0.1 * keras.ops.mean(x))
        return {"loss": weight.value}

    def warmup_step(x):
        weight.assign(weight * 0.5 + 0.1 * keras.ops.mean(x))
        return {"loss": weight.value}

    # So that each epoch is saved at its end.
    options = {"save": None, "keep": ol.Keep(best=1, by="train_loss")}
    loop = ol.Loop(
        folder=tmp_path / name,
        compile=False,
        observers=observers,
        weight=weight,
        **options,
    )
    steps = {"main": main_step, "warmup": warmup_step}
    for epoch in loop.epochs(5):
        step, data = steps[step_of(epoch.number)], data_of(epoch.number)
        for chunk in epoch.train(step, data, every=1):
            if epoch.number == killed_in and chunk.batch == 2:
                if not asked:
                    raise Killed
                os.kill(os.getpid(), signal.SIGTERM)
    return loop.history.steps["train_loss"].tolist()


def warmup_first(epoch):
    return "warmup" if epoch <= 2 else "main"


def always_main(epoch):
    return "main"


def new_data(epoch):
    return ol.Batches(np.arange(8, dtype="float32") + epoch, batch_size=2)


def same_data(epoch):
    return DATA


@pytest.mark.in_turn(of=("jax",), most=5)
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
@pytest.mark.parametrize("what", ["another step", "other data"])
def test_what_a_later_epoch_brings_is_not_taken_for_what_was_there(
    tmp_path, what, epoch, asked
):
    step_of = warmup_first if what == "another step" else always_main
    data_of = new_data if what == "other data" else same_data
    expected = train(tmp_path, step_of, data_of, name="whole")
    with pytest.raises(SystemExit if asked else Killed):
        train(tmp_path, step_of, data_of, killed_in=epoch, asked=asked)
    assert train(tmp_path, step_of, data_of) == expected


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize(
    ("step_of", "data_of", "words"),
    [
        (warmup_first, same_data, "pass 'train': the code of the step"),
        (always_main, new_data, "pass 'train': data values are others"),
    ],
)
def test_what_the_run_was_in_the_middle_of_must_be_as_it_was(
    tmp_path, step_of, data_of, words, epoch
):
    with pytest.raises(SystemExit):
        train(tmp_path, always_main, same_data, killed_in=epoch, asked=True)
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        train(tmp_path, step_of, data_of)


def test_data_that_two_epochs_had_are_expected_in_the_third(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, always_main, same_data, killed_in=3)
    with pytest.raises(FolderError, match="pass 'train': data values are others"):
        train(tmp_path, always_main, new_data)


def larger_batches(epoch):
    return ol.Batches(np.arange(8, dtype="float32"), batch_size=4)


def doubts(folder):
    layout = Layout(folder)
    store = Store(layout.checkpoints, run=layout.read_identity())
    return store.newest().checkpoint.meta["doubts"]


def test_data_that_only_the_second_epoch_has_are_said_and_noted(tmp_path):
    with pytest.raises(Killed):
        train(tmp_path, always_main, same_data, killed_in=2)
    said = []
    train(tmp_path, always_main, larger_batches, observers=[said.append])
    words = r"pass 'train' has other data .*: data batch size was 2 and is 4"
    (doubt,) = doubts(tmp_path / "run")
    assert re.fullmatch(words, doubt)
    assert [e.text for e in said if isinstance(e, Notice)].count(doubt) == 1


def test_data_that_are_the_same_again_or_always_others_leave_no_doubt(tmp_path):
    for name, data_of in {"same": same_data, "new": new_data}.items():
        with pytest.raises(Killed):
            train(tmp_path, always_main, data_of, killed_in=3, name=name)
        train(tmp_path, always_main, data_of, name=name)
        assert doubts(tmp_path / name) == []


def take_turns(tmp_path, makes, *, at=None, name="run", ends=False):
    """Train four epochs with two steps of one name in each; perhaps each within one."""
    weight = keras.Variable(1.0, name="weight")
    steps = [make(weight) for make in makes]
    options = {"save": None, "keep": ol.Keep(best=1, by="train_loss")}
    loop = ol.Loop(
        folder=tmp_path / name, compile=False, observers=[], weight=weight, **options
    )
    try:
        for epoch in loop.epochs(4):
            for number, step in enumerate(steps):
                for chunk in epoch.train(step, DATA, every=1):
                    if (epoch.number, number, chunk.batch) == at:
                        if not ends:
                            raise Killed
                        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        end_of_process(loop)
    return loop.history.steps["train_loss"].tolist()


def generator(weight):
    def train_step(x):
        weight.assign(weight * 0.9 + 0.1 * keras.ops.mean(x))
        return {"loss": weight.value}

    return train_step


def discriminator(weight):
    def train_step(x):
        weight.assign(weight * 0.5 - keras.ops.mean(x))
        return {"loss": weight.value}

    return train_step


def decay(weight):
    def train_step(x):
        weight.assign(weight * 0.25)
        return {"loss": weight.value}

    return train_step


@pytest.mark.in_turn(of=("jax",), most=8)
@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("at", [(2, 0, 2), (2, 1, 2), (3, 0, 2), (3, 1, 4)])
@pytest.mark.parametrize("kind", ["functions", "lambdas", "partials"])
def test_steps_may_take_turns_under_one_name(tmp_path, kind, at, ends):
    makes = [generator, discriminator]
    if kind == "lambdas":
        makes = [
            lambda weight: lambda x: {"loss": weight.assign(weight * 0.9) * 1},
            lambda weight: lambda x: {"loss": weight.assign(weight - 0.5) * 1},
        ]
    if kind == "partials":
        makes = [lambda w, m=make: functools.partial(m(w)) for make in makes]
    expected = take_turns(tmp_path, makes, name="whole")
    with pytest.raises(SystemExit if ends else Killed):
        take_turns(tmp_path, makes, at=at, ends=ends)
    assert take_turns(tmp_path, makes) == expected


@pytest.mark.parametrize(
    ("at", "makes"),
    [
        ((3, 0, 2), [decay, discriminator]),  # At an epoch's begin: a new one.
        ((2, 0, 2), [discriminator, generator]),  # Within the first one.
        ((2, 1, 2), [discriminator, generator]),  # Within the second one.
    ],
)
def test_another_step_under_the_name_of_two_is_refused(tmp_path, at, makes):
    ends = at[0] == 2
    with pytest.raises(SystemExit if ends else Killed):
        take_turns(tmp_path, [generator, discriminator], at=at, ends=ends)
    with pytest.raises(FolderError, match="exactly: pass 'train': the code of the"):
        take_turns(tmp_path, makes)


def play(tmp_path, layers, *, resume=True):
    """Run an epoch over a model of these layers, or one more."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), *layers])
    data = ol.Batches(np.ones((4, 3), "float32"), batch_size=2)
    loop = ol.Loop(
        folder=tmp_path, observers=[], compile=False, resume=resume, model=model
    )
    try:
        for epoch in loop.epochs(1 + len(list(tmp_path.glob("checkpoints/*")))):
            epoch.train(lambda x: {"mean": keras.ops.mean(model(x))}, data).run()
    finally:
        end_of_process(loop)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (
            lambda: [Dense(3, activation="relu"), Dense(3)],
            lambda: [Dense(3, activation="tanh"), Dense(3)],
            r"dense\.activation was 'relu' and is 'tanh'\. Expected",
        ),
        (
            lambda: [Dense(3, kernel_regularizer=keras.regularizers.L2(0.01))],
            lambda: [Dense(3, kernel_regularizer=keras.regularizers.L2(0.5))],
            r"dense\.kernel_regularizer\.l2 was 0\.01 and is 0\.5\. Expected",
        ),
        (
            lambda: [Dense(3), keras.layers.ReLU(), Dense(3)],
            lambda: [Dense(3), Dense(3)],
            r"sequential\.layers\[1\] was 'ReLU' and is 'Dense'; .*is None",
        ),
        (
            lambda: [Dense(3), Dense(3)],
            lambda: [Dense(3), keras.layers.ReLU(), Dense(3)],
            r"sequential\.layers\[1\] was 'Dense' and is 'ReLU'; .*was None",
        ),
        (
            lambda: [Dense(3) for _ in range(20)],
            lambda: [Dense(3) for _ in range(3)],
            r"sequential\.layers\[10\] was 'Dense' and is None; and 9 more diff",
        ),
    ],
)
def test_another_architecture_with_the_same_variables_is_refused(
    tmp_path, before, now, words
):
    play(tmp_path, before())
    with pytest.raises(FolderError, match=f"cannot be continued exactly: .*{words}"):
        play(tmp_path, now())
    play(tmp_path, before())


def test_a_script_that_built_another_model_first_is_the_same_script(tmp_path):
    def layers():
        return [Dense(3, activation="relu"), keras.layers.Dropout(0.5), Dense(3)]

    play(tmp_path, layers())
    keras.Sequential([keras.Input((3,)), *layers()])
    play(tmp_path, layers())


def blur(x):
    return keras.ops.conv(x, keras.ops.ones((3, 3, 1, 1)) / 9, padding="same")


PICTURES = ol.Batches(np.ones((4, 6, 6, 1), "float32"), batch_size=2)


ONE_KIND = keras.backend.backend() != "jax"


def kinds_of(folder):
    store = Store(folder / "checkpoints", run=None)
    kinds = store.newest().checkpoint.meta["kinds"]
    return [kind for programs in kinds.values() for kind in programs.values()]


def augment(folder, *, epochs, kill=None, begin=3):
    """Train over pictures, which are blurred from an epoch on."""
    weight, blurs = keras.Variable(1.0, name="weight"), False

    def step(x):
        weight.assign(weight * 0.9)
        return {"mean": keras.ops.mean(blur(x) if blurs else x) * weight}

    loop = ol.Loop(folder=folder, observers=[], save=1, weight=weight)
    try:
        for epoch in loop.epochs(epochs):
            blurs = epoch.number >= begin
            for chunk in epoch.train(step, PICTURES, every=1):
                if chunk.step == kill:
                    os.kill(os.getpid(), signal.SIGTERM)
    finally:
        end_of_process(loop)
    return loop.history["train_mean"].tolist()


@pytest.mark.parametrize("kill", [None, 3, 4, 5])
def test_a_flag_may_make_another_kind_of_program_on_the_way(tmp_path, kill):
    whole = augment(tmp_path / "whole", epochs=4)
    assert len(set(kinds_of(tmp_path / "whole"))) == (1 if ONE_KIND else 2)
    if kill is not None:
        with pytest.raises(SystemExit):
            augment(tmp_path / "killed", epochs=4, kill=kill)
        assert augment(tmp_path / "killed", epochs=4) == whole


def test_two_steps_of_one_name_may_be_programs_of_two_kinds(tmp_path):
    def make(layer):
        def step(x):
            return {"mean": keras.ops.mean(layer(x))}

        return step

    def train(epochs):
        layers = {"first": Dense(2), "second": keras.layers.Conv2D(2, 3)}
        loop = ol.Loop(folder=tmp_path, observers=[], **layers)
        steps = [make(layer) for layer in layers.values()]
        for epoch in loop.epochs(epochs):
            for step in steps:
                epoch.train(step, PICTURES).run()
        end_of_process(loop)

    train(1)
    train(2)


@pytest.mark.skipif(ONE_KIND, reason="convolutions are programs like others there")
def test_another_kind_of_program_for_what_was_read_before_is_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(continuation.fingerprint, "of_program", lambda seen: "same")
    augment(tmp_path, epochs=1)
    words = r"train: step float32\[2, 6, 6, 1\]: program was '.*' and is '.*'\. Expect"
    with pytest.raises(FolderError, match=words):
        augment(tmp_path, epochs=2, begin=1)


def anneal(tmp_path, rates, *, at=None, resume=True, compile=True):
    """Train three epochs with a number in the step, perhaps another one in each."""
    weight, said = keras.Variable(1.0, name="weight"), []
    calls, rate = 0, rates[0]

    def step(x):
        nonlocal calls
        calls += 1  # Its own number, which decides nothing.
        weight.assign(weight * 0.9 + rate * keras.ops.mean(x))
        return {"loss": weight * 1.0}

    loop = ol.Loop(
        folder=tmp_path / "run",
        observers=[lambda e: said.append(e.text) if isinstance(e, Notice) else None],
        resume=resume,
        compile=compile,
        save=1,
        weight=weight,
    )
    try:
        for epoch in loop.epochs(3):
            rate = rates[(epoch.number - 1) % len(rates)]
            for chunk in epoch.train(step, DATA, every=1):
                if chunk.step == at:
                    raise Killed
    except Killed:
        pass
    finally:
        end_of_process(loop)
    return [text for text in said if "reads other values or code" in text]


def test_a_number_that_a_step_reads_is_the_same_in_the_middle_of_a_pass(tmp_path):
    anneal(tmp_path, [0.1], at=6)
    words = "train: step reads other values or code: rate was 0.1 and is 0.2"
    with pytest.raises(FolderError, match=f"cannot be continued exactly: {words}"):
        anneal(tmp_path, [0.2])
    (said,) = anneal(tmp_path, [0.2], resume="inexact")
    assert f"continuing inexactly, since {words}" in said


def test_a_number_may_be_another_in_another_pass_and_that_is_said(tmp_path):
    anneal(tmp_path, [0.1], at=5)  # Saved last at the end of an epoch.
    (said,) = anneal(tmp_path, [0.2])
    assert (
        "step reads other values or code than before the run was interrupted: "
        "rate was 0.1 and is 0.2" in said
    )


@pytest.mark.in_turn(of=("jax",), most=6)
@pytest.mark.parametrize("at", [3, 5, 6, 9, 11])
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("last", [0.3, 0.1])
def test_numbers_that_a_script_chooses_for_each_epoch_go_on(
    tmp_path, at, compile, last
):
    rates = [0.1, 0.2, last]  # One that comes back finds its program again.
    assert anneal(tmp_path, rates, at=at, compile=compile) == []
    said = anneal(tmp_path, rates, compile=compile)
    # At the begin of an epoch it cannot be known whether that was meant.
    assert bool(said) == (compile and at in (5, 9))
    (tmp_path / "whole").mkdir()
    anneal(tmp_path / "whole", rates, compile=compile)
    ends = [
        Store(p / "run/checkpoints", run=None).newest()
        for p in (tmp_path, tmp_path / "whole")
    ]
    first, second = (e.checkpoint.tensors["weight/0"].array.tobytes() for e in ends)
    assert first == second


def scaled_by(factor, *, is_called_otherwise=False):
    """Returns a layer of the user's own, which another process may have changed."""

    class Scale(keras.layers.Layer):
        def call(self, x):
            return self.scale(x)

        if is_called_otherwise:

            def scale(self, x):
                return x + x

        else:

            def scale(self, x):
                return 2 * x

    both = [Scale(name="scale"), keras.layers.Lambda(lambda x: factor * x, name="by")]
    return keras.Sequential(both)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factor": 0.2}, r"by\.function\.factor was 0\.1 and is 0\.2"),
        ({"is_called_otherwise": True}, r"Scale\.scale\(\) is another\. Expected"),
    ],
)
def test_a_layers_code_is_the_same_in_the_middle_of_a_pass(tmp_path, change, words):
    def train(at=None, **how):
        weight = keras.Variable(1.0, name="weight")
        model = scaled_by(**{"factor": 0.1} | how)

        def step(x):
            weight.assign(weight * 0.9 + keras.ops.mean(model(x)))
            return {"loss": weight * 1.0}

        loop = ol.Loop(folder=tmp_path / "run", observers=[], save=1, weight=weight)
        try:
            for epoch in loop.epochs(2):
                for chunk in epoch.train(step, DATA, every=1):
                    if chunk.step == at:
                        raise Killed
        finally:
            end_of_process(loop)
        return loop.step

    with pytest.raises(Killed):
        train(at=6)
    with pytest.raises(FolderError, match=f"step reads other values or code: {words}"):
        train(**change)
    assert train() == 8
