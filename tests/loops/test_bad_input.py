"""What a user gets wrong: one clear error, before the first step, and nothing lost.

A message has three parts: what happened, with the value; what was expected; what to do.
"""

import re

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop import backends
from ownloop.errors import BackendError, DataError, LoopError, StepError


class Script:
    """A loop that has one good epoch behind it, and what must not change after it."""

    def __init__(self, **options) -> None:
        self.total = keras.Variable(0.0, trainable=False)
        self.loop = ol.Loop(total=self.total, observers=[], **options)
        self.data = ol.Batches(np.ones(6), batch_size=2)
        for epoch in self.loop.epochs(1):
            epoch.train(self.count, self.data).run()

    def count(self, x):
        self.total.assign_add(keras.ops.sum(x))
        return {"total": self.total.value}

    def train(self, step, data, **options):
        for epoch in self.loop.epochs(2):
            epoch.train(step, data, **options).run()

    def check_nothing_is_lost(self):
        assert float(keras.ops.convert_to_numpy(self.total.value)) == 6.0
        assert self.loop.step == 3
        assert self.loop.epoch == 1
        assert self.loop.history.steps["train_total"].tolist() == [2.0, 4.0, 6.0]
        assert self.loop.history.to_dict() == {
            "epoch": [1],
            "step": [3],
            "train_total": [4.0],
        }
        # And the loop goes on.
        self.train(self.count, self.data)
        assert self.loop.history["train_total"].tolist() == [4.0, 10.0]


@pytest.fixture
def script(monkeypatch):
    # The good steps of a chunk are undone with the bad one only where one stretch has
    # all of them, which on a busy machine may take longer than a second.
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 1e9)
    return Script(compile=False)


def complains(call, kind, *words):
    """Check that a call is refused in one message that says all of these words."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert re.search(word, message, re.DOTALL), message
    # What happened; what was expected; what to do.
    parts = re.split(r"[.;](?:\s|$)", message)
    assert len(parts) >= 3, message
    return caught.value


# ------------------------------------------------------------------------- the data

BAD_ARRAYS = {
    "no examples": (np.zeros((0, 3)), r"no examples.*\(0, 3\)"),
    "lengths that differ": ((np.zeros(4), np.zeros(5)), "different lengths.*4.*5"),
    "objects": (np.array([object()] * 4), "dtype object"),
    "strings": (np.array(["a", "b"]), "dtype <U1"),
    "dates": (np.array(["2020-01-01"], "datetime64[D]"), "dtype datetime64"),
    "ragged rows": ([[1.0], [1.0, 2.0]], "cannot be read"),
    "nothing": ((), "no arrays"),
    "one number": (3.0, "single value"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused_when_they_are_named(case):
    arrays, words = BAD_ARRAYS[case]
    complains(lambda: ol.Batches(arrays, batch_size=2), DataError, words)


@pytest.mark.parametrize("size", [0, -1, 2.5, "32", None, True])
def test_a_batch_size_is_a_whole_number_from_one_up(size):
    complains(
        lambda: ol.Batches(np.zeros(4), batch_size=size), DataError, "batch_size is"
    )


BAD_DATA = {
    "an empty list": ([], "gave no batch"),
    "a generator that was read": (iter(()), "only once"),
    "bare arrays": ((np.zeros(4), np.zeros(4)), "not batches.*Batches"),
    "a number": (3, "data are 3"),
    "a batch of strings": ([np.array(["a"])], "dtype <U1"),
    "a batch of objects": ([np.array([object()])], "dtype object"),
}


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("how", ["train", "validate"])
def test_data_that_give_no_batch_are_refused(script, case, how):
    data, words = BAD_DATA[case]
    if how == "train":
        complains(lambda: script.train(script.count, data), DataError, words)
    else:
        complains(lambda: script.loop.validate(script.count, data), DataError, words)
    script.check_nothing_is_lost()


BARE = {
    "a tensor": lambda: keras.ops.arange(6.0),
    "a tuple of tensors": lambda: (keras.ops.arange(6.0), keras.ops.arange(6.0)),
    "a variable": lambda: keras.Variable(np.arange(6.0)),
    "a tuple with a variable": lambda: (keras.Variable(np.arange(6.0)), None),
}


@pytest.mark.parametrize("case", BARE)
@pytest.mark.parametrize("how", ["train", "validate"])
def test_bare_tensors_are_refused_as_bare_arrays_are(script, case, how):
    data = BARE[case]()
    if how == "train":
        complains(lambda: script.train(script.count, data), DataError, "are arrays")
    else:
        complains(
            lambda: script.loop.validate(script.count, data), DataError, "are arrays"
        )
    script.check_nothing_is_lost()


def test_a_list_of_tensors_is_a_list_of_batches(script):
    data = [keras.ops.arange(2.0), keras.ops.arange(3.0)]
    for epoch in script.loop.epochs(2):
        epoch.train(script.count, data).run()
    assert script.loop.history.steps["train_total"].tolist() == [2, 4, 6, 7, 10]


def test_a_generator_can_be_read_once_and_says_so_the_second_time(script):
    once = (np.ones(2) for _ in range(3))

    def run():
        for epoch in script.loop.epochs(3):
            epoch.train(script.count, once, name="once").run()

    complains(run, DataError, "only once", "read again")
    assert script.loop.history.steps["once_total"].tolist() == [8.0, 10.0, 12.0]


def test_data_of_none_need_steps(script):
    complains(lambda: script.train(script.count, None), LoopError, "None", "steps=1000")
    complains(lambda: script.loop.validate(script.count, None), LoopError, "None")
    script.check_nothing_is_lost()


# -------------------------------------------------------------------- how it is run


@pytest.mark.parametrize("every", [0, -3, 1.5, "300", (), True])
def test_every_is_a_whole_number_from_one_up(script, every):
    def run():
        script.train(script.count, script.data, every=every)

    complains(run, LoopError, re.escape(repr(every)), "every=300")
    script.check_nothing_is_lost()


@pytest.mark.parametrize("steps", [0, -1, 1.5, "10", True])
def test_steps_is_a_whole_number_from_one_up(script, steps):
    def run():
        script.train(script.count, script.data, steps=steps)

    complains(run, DataError, f"steps is {re.escape(repr(steps))}")
    script.check_nothing_is_lost()


@pytest.mark.parametrize("total", [-1, 2.5, "10", True])
def test_the_number_of_epochs_is_whole(script, total):
    complains(lambda: script.loop.epochs(total), LoopError, "whole number")
    script.check_nothing_is_lost()


def test_a_step_that_was_called_already_is_no_step(script):
    result = {"loss": 1.0}
    words = ("without calling it", "dict")
    complains(lambda: script.train(result, script.data), LoopError, *words)
    complains(lambda: script.loop.validate(result, script.data), LoopError, *words)
    for epoch in script.loop.epochs(2):
        complains(lambda: epoch.step(result, np.ones(2)), LoopError, *words)  # noqa: B023
    assert script.loop.step == 3


def test_a_pass_that_was_never_run_is_noticed(script):
    def run():
        for epoch in script.loop.epochs(2):
            epoch.train(script.count, script.data)

    place = r"'train' in line \d+ of test_bad_input\.py"
    complains(run, LoopError, rf"{place}, which was never run in epoch 2", r"\.run\(\)")
    assert script.loop.step == 3


def test_a_pass_runs_once(script):
    for epoch in script.loop.epochs(2):
        made = epoch.train(script.count, script.data)
        made.run()
        complains(made.run, LoopError, "second time", "again")
        complains(lambda: list(made), LoopError, "second time")  # noqa: B023
    assert script.loop.step == 6


def test_an_epoch_and_its_passes_end_with_their_round(script):
    for epoch in script.loop.epochs(2):
        running = iter(epoch.train(script.count, script.data, every=1))
        next(running)
    for use in (
        lambda: epoch.train(script.count, script.data),
        lambda: epoch.validate(script.count, script.data),
        lambda: epoch.step(script.count, np.ones(2)),
    ):
        complains(use, LoopError, "Epoch 2 is over", "loop.validate")
    assert list(running) == []
    assert script.loop.step == 4
    assert script.loop.history["train_total"].tolist() == [4.0, 8.0]


def test_a_pass_cannot_outlive_its_epoch(script):
    script.loop.stop()
    kept = []
    for epoch in script.loop.epochs(2):
        kept.append(epoch.train(script.count, script.data))
        script.loop.stop("enough")  # Else the pass that was not run would be an error.
    complains(kept[0].run, LoopError, "too late", "epoch.train")
    assert script.loop.step == 3


def test_the_loop_takes_objects_whose_state_can_be_found():
    complains(lambda: ol.Loop(model=3), LoopError, "model", "int", "get_state")
    complains(lambda: ol.Loop(step=lambda x: x), LoopError, "function")
    complains(lambda: ol.Loop(observers=[3]), LoopError, "observer", "3")
    complains(lambda: ol.Loop(observers=print), LoopError, "observers", "list")
    for name in ("random", "reading", "saved", "found", "logged", "a/b"):
        thing = {name: keras.Variable(0.0)}
        complains(lambda thing=thing: ol.Loop(**thing), LoopError, name, "Call it")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("folders", "folder"), ("observer", "observers"), ("compiled", "compile")],
)
def test_an_argument_that_was_mistyped_is_named(name, meant):
    with pytest.raises(LoopError, match=rf"Did you mean `{meant}`\?$"):
        ol.Loop(**{name: "x"})


@pytest.mark.parametrize("name", ["loss", "state", "epochs", "data", "model"])
def test_other_words_are_no_mistyped_arguments(name):
    with pytest.raises(LoopError) as caught:
        ol.Loop(**{name: 3})
    assert "Did you mean" not in str(caught.value)


def test_nothing_can_be_loaded_that_was_not_saved(script):
    script.loop.save("best")
    complains(lambda: script.loop.load("bset"), LoopError, "'bset'", "'best'")


def test_validation_data_need_a_validation_step(script):
    words = ("val_step", "val")
    complains(
        lambda: script.loop.run(script.count, script.data, val=script.data, epochs=2),
        LoopError,
        *words,
    )
    complains(
        lambda: script.loop.run(script.count, script.data, script.count, epochs=2),
        LoopError,
        *words,
    )
    script.check_nothing_is_lost()


# ---------------------------------------------------------------- what a step returns

BAD_RESULTS = {
    "nothing": (lambda x: None, "returned None"),
    "an empty dictionary": (lambda x: {}, "empty dictionary"),
    "a vector": (lambda x: {"logits": x}, r"'logits' with shape \(2,\).*last"),
    "a bare vector": (lambda x: x, r"'loss' with shape \(2,\)"),
    "a string": (lambda x: "loss", "of type str"),
    "a string in a dictionary": (lambda x: {"note": "good"}, "'note' of type str"),
    "None in a dictionary": (lambda x: {"loss": None}, "'loss' of type NoneType"),
    "an object": (lambda x: {"loss": object()}, "'loss' of type object"),
    "a tuple": (lambda x: (keras.ops.sum(x), keras.ops.sum(x)), "tuple of 2"),
    "a key that is no string": (lambda x: {1: keras.ops.sum(x)}, "key 1"),
}


@pytest.mark.parametrize("case", BAD_RESULTS)
@pytest.mark.parametrize("compile", [True, False])
def test_what_a_step_returns_must_be_something_to_log(case, compile):
    function, words = BAD_RESULTS[case]
    total = keras.Variable(1.0, trainable=False)

    def step(x):
        total.assign_add(keras.ops.sum(x))
        return function(x)

    loop = ol.Loop(total=total, compile=compile, observers=[])
    data = ol.Batches(np.ones(6), batch_size=2)

    def run():
        for epoch in loop.epochs(1):
            epoch.train(step, data).run()

    complains(run, StepError, words)
    assert float(keras.ops.convert_to_numpy(total.value)) == 1.0
    assert (loop.step, loop.epoch, len(loop.history)) == (0, 0, 0)


def test_a_step_returns_the_same_names_for_every_batch(script):
    calls = []

    def step(x):
        calls.append(script.count(x))
        return {"loss": 1.0} if len(calls) < 3 else {"other": 1.0}

    complains(lambda: script.train(step, script.data, name="other"), StepError, "other")
    script.check_nothing_is_lost()


@pytest.mark.in_turn
@pytest.mark.parametrize("compile", [True, False])
def test_a_step_returns_the_same_names_for_every_shape_of_a_batch(compile):
    total = keras.Variable(1.0, trainable=False)

    def step(x):
        total.assign_add(keras.ops.sum(x))
        return {"full": 1.0} if x.shape[0] == 2 else {"short": 1.0}

    loop = ol.Loop(total=total, compile=compile, observers=[])

    def run():
        for epoch in loop.epochs(1):
            epoch.train(step, ol.Batches(np.ones(5), batch_size=2)).run()

    complains(run, StepError, "full", "short", "same")
    assert float(keras.ops.convert_to_numpy(total.value)) == 1.0
    assert loop.step == 0


@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_that_depends_on_no_variable_is_noticed(compile):
    weight = keras.Variable(1.0)
    optimizer = keras.optimizers.SGD(0.1)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(x)
        optimizer.apply_gradients([(tape.gradient(loss, weight), weight)])
        return loss

    loop = ol.Loop(weight=weight, optimizer=optimizer, compile=compile, observers=[])

    def run():
        for epoch in loop.epochs(1):
            epoch.train(step, ol.Batches(np.ones(4), batch_size=2)).run()

    error = complains(run, StepError, "no gradient", "none of the variables", "tape")
    assert str(error.__cause__) == "No gradients provided for any variable."
    assert float(keras.ops.convert_to_numpy(weight.value)) == 1.0
    assert loop.step == 0


def test_the_same_words_from_the_user_stay_the_users(script):
    mine = ValueError("No gradients provided for any variable.")

    def step(x):
        raise mine

    with pytest.raises(ValueError) as caught:
        script.train(step, script.data)
    assert caught.value is mine
    script.check_nothing_is_lost()


# -------------------------------------------------------------- the user's exceptions


class StrangeError(Exception):
    """An exception that takes no notes."""

    def add_note(self, note):
        raise TypeError("no notes, please")


@pytest.mark.parametrize(
    ("kind", "compile"),
    [
        (KeyError, True),
        (KeyError, False),
        (KeyboardInterrupt, True),
        (KeyboardInterrupt, False),
        # Not while compiling: JAX adds a note of its own, and would fail there.
        (StrangeError, False),
    ],
)
def test_an_exception_in_a_step_reaches_the_user_as_it_is(kind, compile):
    mine = kind("mine")
    total = keras.Variable(1.0, trainable=False)

    def step(x):
        total.assign_add(keras.ops.sum(x))
        raise mine

    loop = ol.Loop(total=total, compile=compile, observers=[])
    data = ol.Batches(np.ones(4), batch_size=2)

    def with_a_for():
        for epoch in loop.epochs(1):
            for _ in epoch.train(step, data):
                pass

    def with_run():
        for epoch in loop.epochs(1):
            epoch.train(step, data).run()

    def with_validate():
        for epoch in loop.epochs(1):
            epoch.validate(step, data)

    def with_step():
        for epoch in loop.epochs(1):
            epoch.step(step, np.ones(2))

    for run in (with_a_for, with_run, with_validate, with_step):
        with pytest.raises(kind) as caught:
            run()
        assert caught.value is mine
        assert float(keras.ops.convert_to_numpy(total.value)) == 1.0
        assert (loop.step, loop.epoch, len(loop.history)) == (0, 0, 0)
    if kind is not StrangeError:
        notes = " ".join(mine.__notes__)
        assert "epoch 1" in notes
        assert "pass 'train'" in notes
        assert ("being compiled" in notes) == (compile and kind is KeyError)


def as_a_float(loss):
    return float(loss)


def as_an_item(loss):
    return loss.item()


def by_an_if(loss):
    return loss * 1.0 if loss > 0 else loss


@pytest.mark.parametrize("use", [as_a_float, as_an_item, by_an_if])
def test_a_step_that_asks_for_a_value_is_run_or_says_what_to_do(use):
    events = []

    def step(x):
        return use(keras.ops.mean(x))

    loop = ol.Loop(observers=[events.append])
    data = ol.Batches(np.arange(1.0, 4.0), batch_size=1)
    if keras.backend.backend() == "torch":
        for epoch in loop.epochs(1):
            epoch.train(step, data).run()
        assert loop.history.steps["train_loss"].tolist() == [1.0, 2.0, 3.0]
        told = [e.text for e in events if isinstance(e, ol.events.Notice)]
        eager = any("asks for the value of a tensor" in text for text in told)
        assert eager == (use is not by_an_if)
        return
    with pytest.raises((TypeError, AttributeError)) as caught:
        loop.validate(step, data)
    assert not isinstance(caught.value, StepError)
    notes = " ".join(caught.value.__notes__)
    for way in ("ownloop.cond", "keras.ops.where", "Loop(..., compile=False)"):
        assert way in notes


def test_an_error_of_ours_while_compiling_says_what_to_do_itself():
    loop = ol.Loop(observers=[])
    with pytest.raises(StepError, match="returned None") as caught:
        loop.validate(lambda x: None, ol.Batches(np.ones(2), batch_size=1))
    notes = " ".join(caught.value.__notes__)
    assert "being compiled" in notes
    assert "keras.ops.where" not in notes


@pytest.mark.parametrize("compile", [True, False])
def test_a_stop_iteration_is_seen_as_such(compile):
    mine = StopIteration("mine")

    def step(x):
        raise mine

    loop = ol.Loop(compile=compile, observers=[])
    data = ol.Batches(np.ones(4), batch_size=2)
    epochs = loop.epochs(1)
    epoch = next(epochs)
    for call in (
        lambda: loop.validate(step, data),
        lambda: epoch.train(step, data).run(),
        lambda: epoch.validate(step, data),
        lambda: epoch.step(step, np.ones(2)),
    ):
        with pytest.raises(StopIteration) as caught:
            call()
        assert caught.value is mine
    # A generator turns it into a RuntimeError, so that no loop ends in silence.
    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        list(epoch.train(step, data))
    assert raised.value.__cause__ is mine


def test_an_exception_in_the_users_loop_leaves_the_history_intact(script):
    mine = KeyError("mine")

    def run():
        for epoch in script.loop.epochs(5):
            for chunk in epoch.train(script.count, script.data, every=1):
                if chunk.step == 5:
                    raise mine

    with pytest.raises(KeyError) as caught:
        run()
    assert caught.value is mine
    assert script.loop.step == 5
    expected = [2.0, 4.0, 6.0, 8.0, 10.0]
    assert script.loop.history.steps["train_total"].tolist() == expected
    assert float(keras.ops.convert_to_numpy(script.total.value)) == 10.0


def test_an_exception_that_the_user_catches_does_not_repeat_the_epoch(script):
    def fails(x):
        raise KeyError("mine")

    numbers = []
    for epoch in script.loop.epochs(4):
        numbers.append(epoch.number)
        with pytest.raises(KeyError):
            epoch.train(fails, script.data, name="bad").run()
        epoch.train(script.count, script.data).run()
    assert numbers == [2, 3, 4]
    assert script.loop.history["train_total"].tolist() == [4.0, 10.0, 16.0, 22.0]


# ------------------------------------------------------------------------ the backend


def test_a_backend_without_a_room_is_named(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    complains(
        backends.current.__wrapped__, BackendError, "openvino", "jax, tensorflow, torch"
    )


def test_a_backend_that_is_not_installed_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(backends.importlib, "import_module", missing)
    complains(
        backends.current.__wrapped__,
        BackendError,
        "jax",
        r"pip install .ownloop\[jax\]",
    )


def test_what_was_made_after_saving_cannot_be_put_back():
    dense = keras.layers.Dense(2)
    loop = ol.Loop(dense=dense, observers=[])
    loop.save("start")
    dense.build((1, 3))
    complains(lambda: loop.load("start"), LoopError, "'dense'", "kernel", "build")


def test_keras_puts_no_words_of_its_own_around_an_error_of_ours():
    class Mistaken(keras.Layer):
        def call(self, x):
            return ol.cond(x > 0, lambda: x, lambda: -x)

    layer = Mistaken()
    with pytest.raises(StepError) as caught:
        layer(np.ones((2, 3), "float32"))
    assert str(caught.value).startswith("The condition of `ownloop.cond`")
    assert "\x1b" not in str(caught.value)


def an_unknown_name(x):
    return los  # noqa: F821


def an_argument_too_many(x, y):
    return keras.ops.mean(x)


def a_wrong_shape(x):
    return keras.ops.mean(keras.layers.Dense(1)(x))


def a_pair_the_wrong_way_round(x):
    weight, rate = keras.Variable(1.0), keras.optimizers.SGD(0.1)
    rate.apply_gradients([(weight, keras.ops.mean(x))])
    return weight


@pytest.mark.parametrize(
    "step",
    [an_unknown_name, an_argument_too_many, a_wrong_shape, a_pair_the_wrong_way_round],
)
def test_other_errors_while_compiling_are_not_taken_for_a_value_that_is_asked_for(step):
    loop = ol.Loop(observers=[])
    with pytest.raises((NameError, TypeError, ValueError, AttributeError)) as caught:
        loop.validate(step, ol.Batches(np.ones(2, "float32"), batch_size=1))
    notes = " ".join(caught.value.__notes__)
    assert "being compiled" in notes
    assert "keras.ops.where" not in notes


def test_a_draw_without_a_seed_is_drawn_or_told_to_get_one():
    def step(x):
        return keras.ops.mean(x + keras.random.normal((1,)))

    loop, data = ol.Loop(observers=[]), ol.Batches(np.ones(2), batch_size=1)
    if keras.backend.backend() != "jax":
        assert np.isfinite(loop.validate(step, data).loss)
        return
    with pytest.raises(ValueError, match="JAX RNG") as caught:
        loop.validate(step, data)
    notes = " ".join(caught.value.__notes__)
    assert "noise = keras.random.SeedGenerator(1)" in notes
    assert "Loop(..., noise=noise)" in notes
    assert "keras.ops.where" not in notes


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's own word")
@pytest.mark.parametrize("compile", [True, False])
def test_backward_is_told_to_be_a_tape(compile):
    weight = keras.Variable(1.0)

    def step(x):
        loss = keras.ops.mean(weight * x)
        loss.backward()
        return loss

    loop = ol.Loop(weight=weight, observers=[], compile=compile)
    with pytest.raises(RuntimeError, match="does not require grad") as caught:
        loop.validate(step, ol.Batches(np.ones(2, "float32"), batch_size=1))
    notes = " ".join(caught.value.__notes__)
    assert "with ol.GradientTape() as tape:" in notes
    assert "tape.gradient(loss, model.trainable_variables)" in notes
