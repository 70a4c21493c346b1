"""What a step reads from outside is seen, and nothing else is."""

import functools
import re
import sys
import types

import keras

import ownloop as ol
from ownloop.step import Surroundings

RATE = 0.5
loss = 1.0
UNUSED = 3


class Holder:
    def __init__(self):
        self.used, self.unused = 1, 2

    @property
    def doubled(self):
        return 2 * self.hidden

    hidden_default = 7

    def method(self, x):
        return x * self.used


def found(step):
    return dict(Surroundings.of(step).numbers)


def test_closures_globals_and_defaults_are_read():
    factor = 2

    def step(x, shift=4, *, scale=5):
        return factor * x * RATE + shift + scale

    assert found(step) == {"factor": 2, "RATE": 0.5, "default 0": 4, "scale": 5}


def test_a_key_or_an_attribute_with_the_name_of_a_global_is_not_that_global():
    def step(x):
        return {"loss": x.loss}

    assert found(step) == {}


def test_functions_that_the_step_calls_are_walked():
    factor = 2

    def inner(x):
        return x * factor

    def step(x):
        return inner(x) + sum(RATE for _ in range(3))

    assert found(step) == {"inner.factor": 2, "RATE": 0.5}


def test_only_the_attributes_that_code_names_are_read():
    holder = Holder()

    def step(x):
        return x * holder.used

    assert found(step) == {"holder.used": 1}
    assert found(holder.method) == {"self.used": 1}


def test_mappings_lists_and_partials_are_opened():
    settings, several = {"rate": 0.1, "other": 0.2}, [1, 2]

    def step(x, power):
        return x * settings["rate"] * several[0] ** power

    seen = found(functools.partial(step, power=3))
    assert seen["settings['rate']"] == 0.1
    assert "settings['other']" not in seen
    assert seen["several[1]"] == 2
    assert seen["power"] == 3


def test_functions_in_modules_of_the_user_are_walked(monkeypatch):
    module = types.ModuleType("losses")
    module.__file__ = "/home/me/losses.py"
    exec("SCALE = 3\nOTHER = 4\ndef scaled(x):\n    return SCALE * x", module.__dict__)
    monkeypatch.setitem(sys.modules, "losses", module)

    def step(x):
        return module.scaled(x)

    assert set(found(step).values()) == {3}


def test_layers_give_their_flags_their_numbers_and_their_metrics():
    dropout = keras.layers.Dropout(0.3, name="drop")
    model = keras.Sequential([keras.layers.Input((2,)), dropout], name="net")
    mean = keras.metrics.Mean(name="error")

    def step(x):
        return mean(model(x))

    before = Surroundings.of(step)
    assert dict(before.numbers)["drop.rate"] == 0.3
    assert dict(before.flags) == {"net.trainable": True, "drop.trainable": True}
    assert before.metrics == (mean,)
    assert set(map(id, before.variables())) >= set(map(id, mean.variables))
    dropout.rate = 0.4
    model.trainable = False
    after = Surroundings.of(step)
    assert after.key != before.key
    assert after.changes(before) == (
        "drop.rate was 0.3 and is 0.4",
        "net.trainable was True and is False",
        "drop.trainable was True and is False",
    )


def test_using_a_model_in_the_loop_changes_nothing():
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])

    def step(x):
        return model(x)

    before = Surroundings.of(step)
    model.compile("sgd", "mse")
    model.stop_training = model.stop_predicting = True
    changes = [c for c in Surroundings.of(step).changes(before) if "sgd" not in c]
    assert changes == []


def test_one_and_true_and_not_a_number_are_told_apart():
    value = 1

    def step(x):
        return x * value

    one = Surroundings.of(step)
    value = True
    true = Surroundings.of(step)
    assert true.key != one.key
    assert true.changes(one) == ("value was 1 and is True",)
    value = float("nan")
    first, second = Surroundings.of(step), Surroundings.of(step)
    assert first.key == second.key
    assert second.changes(first) == ()


def test_what_appears_and_what_goes_is_said():
    holder = types.SimpleNamespace()

    def step(x):
        return x * getattr(holder, "scale", 1) if x.scale else x

    before = Surroundings.of(step)
    holder.scale = 2
    after = Surroundings.of(step)
    assert after.changes(before) == ("holder.scale was not there and is 2",)
    assert before.changes(after) == ("holder.scale was 2 and is not there",)


def test_a_learning_rate_schedule_that_was_exchanged_is_a_change() -> None:
    schedules = keras.optimizers.schedules
    optimizer = keras.optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.5))

    def step() -> None:
        optimizer.apply_gradients([])

    before = Surroundings.of(step)
    optimizer.learning_rate = schedules.ExponentialDecay(0.2, 10, 0.5)
    (change,) = Surroundings.of(step).changes(before)

    assert "learning_rate" in change
    assert "0.2" in change


def test_numbers_of_another_object_are_no_other_numbers():
    layer, rate = keras.layers.Dropout(0.1, name="one"), 0.5

    def step(x):
        return layer(x) * rate

    before = Surroundings.of(step)
    layer, rate = keras.layers.Dropout(0.2, name="two"), 0.25
    now = Surroundings.of(step)
    assert now.changes(before) == (
        "rate was 0.5 and is 0.25",
        "layer is another Dropout",
    )
    assert now.other_numbers(before) == ("rate",)


def small_model(*, activation=None):
    layers = [keras.layers.Dense(2, activation=activation), keras.layers.Dropout(0.1)]
    return keras.Sequential([keras.Input((3,)), *layers])


class Tower(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(1)
        self.before = keras.layers.Lambda(lambda x: x * RATE)

    def call(self, x):
        return self.head(self.before(x))


def test_another_object_under_a_name_is_said_once_and_by_that_name():
    model, optimizer = small_model(), keras.optimizers.Adam(0.1)
    models = {"target": small_model()}

    def step(x):
        optimizer.apply_gradients([])
        return model(x) + models["target"](x)

    def change():
        nonlocal model, optimizer
        model, optimizer = small_model(), keras.optimizers.Adam(0.2)
        models["target"] = small_model(activation=lambda x: x * RATE)

    assert changes_of(step, change) == (
        "model is another Sequential",
        "optimizer is another Adam",
        "models['target'] is another Sequential",
    )

    def change():
        nonlocal model, optimizer
        model, optimizer = Tower(), keras.optimizers.SGD(0.2)

    assert changes_of(step, change) == (
        "model was Sequential and is Tower",
        "optimizer was Adam and is SGD",
    )

    def change():
        nonlocal model
        model = Tower()

    assert changes_of(step, change) == ("model is another Tower",)


def test_of_a_part_that_comes_or_goes_only_its_kind_is_said():
    model = small_model()
    part = keras.layers.Dense(1, name="part")

    def step(x):
        return model(x)

    assert changes_of(step, lambda: model.add(part)) == (
        "part was not there and is Dense",
    )
    assert changes_of(step, model.pop) == ("part was Dense and is not there",)


def test_the_users_own_names_are_said_before_the_flags_of_layers():
    model, rate = small_model(), 0.5
    optimizer = keras.optimizers.Adam(0.1)
    model.trainable = False

    def step(x):
        optimizer.apply_gradients([])
        return model(x) * rate

    def change():
        nonlocal optimizer, rate
        model.trainable, rate, optimizer = True, 0.25, keras.optimizers.Adam(0.2)

    own, other, *flags = changes_of(step, change)
    assert own == "rate was 0.5 and is 0.25"
    assert other == "optimizer is another Adam"
    assert flags[0] == f"{model.name}.trainable was False and is True"
    assert len(flags) == 3


class Scaled(keras.layers.Layer):
    """Has a `build` of its own, which Keras wraps in a function."""

    def build(self, shape):
        self.used_in_build = UNUSED

    def call(self, x):
        return x * RATE


def test_functions_that_keras_objects_hold_are_walked():
    slope = 3

    def leaky(x):
        return x * slope

    activation = keras.layers.Activation(leaky, name="leaky")
    metric = keras.metrics.MeanMetricWrapper(lambda t, p: t * RATE, name="own")

    def step(x):
        return metric(x, activation(x))

    seen = Surroundings.of(step)
    assert dict(seen.numbers)["leaky.activation.slope"] == 3
    assert dict(seen.numbers)["own._fn.RATE"] == 0.5
    assert [name for name, _ in seen.held] == ["leaky.activation", "own._fn"]
    activation.activation = lambda x: x
    after = Surroundings.of(step)
    assert after.key != seen.key
    assert "leaky.activation() was another function" in after.changes(seen)


def test_what_keras_holds_itself_is_not_given_by_the_user():
    layer, plain = Scaled(name="scaled"), keras.layers.Dense(1, activation="relu")
    seen = Surroundings.of(lambda x: plain(layer(x)))
    assert seen.held == ()
    assert "Scaled.call" in dict(seen.methods)
    assert "UNUSED" not in str(seen.numbers)


def test_functions_of_keras_and_partials_are_told_apart():
    layer = keras.layers.Dense(1, activation="relu", name="dense")

    def step(x):
        return layer(x)

    def change(activation):
        before = Surroundings.of(step)
        layer.activation = activation
        return Surroundings.of(step).changes(before)

    def scaled(x, scale):
        return x * scale

    (words,) = change(keras.activations.tanh)
    assert re.fullmatch(r"dense\.activation was '\S+\.relu' and is '\S+\.tanh'", words)
    assert "dense.activation() was another function" in change(lambda x: x)
    assert change(functools.partial(scaled, scale=2))
    found = "dense.activation.scale was 2 and is 3"
    assert found in change(functools.partial(scaled, scale=3))
    slope = functools.partial(keras.activations.leaky_relu, negative_slope=0.1)
    assert change(slope)
    slope = functools.partial(keras.activations.leaky_relu, negative_slope=0.2)
    assert any("was 0.1 and is 0.2" in words for words in change(slope))
    assert change(Holder().method)


def test_functions_that_no_code_of_the_users_names_are_not_looked_at():
    best = 0.3

    class Net(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="net")
            self.report, self.scale = lambda: best, lambda x: x * RATE

        def call(self, x):
            return self.scale(x)

    net = Net()
    starts = keras.layers.Dense(1, kernel_initializer=lambda *_, **__: best)
    seen = Surroundings.of(lambda x: starts(net(x)))
    assert [name for name, _ in seen.held] == ["net.scale"]
    assert "best" not in str(seen.numbers)


class Criterion:
    scale = 1.0
    __slots__ = ("alpha", "net")

    def __init__(self, net):
        self.alpha, self.net = 1.0, net

    def __call__(self, x):
        return self.alpha * self.scale * self.net(x)


class Config:
    alpha = 0.5


def changes_of(step, change):
    before = Surroundings.of(step)
    change()
    after = Surroundings.of(step)
    assert (after.key == before.key) == (not after.changes(before))
    return after.changes(before)


def test_what_an_object_reads_that_is_called_is_seen():
    first, second = keras.layers.Dense(1), keras.layers.Dense(1)
    criterion = Criterion(first)

    def step(x):
        return criterion(x)

    assert first in Surroundings.of(step).owners
    said = changes_of(step, lambda: setattr(criterion, "alpha", 0.1))
    assert said == ("criterion.alpha was 1.0 and is 0.1",)
    said = changes_of(step, lambda: setattr(Criterion, "scale", 2.0))
    assert said == ("criterion.scale was 1.0 and is 2.0",)
    criterion.net = second
    assert second in Surroundings.of(step).owners


def test_numbers_of_a_class_are_seen():
    said = changes_of(lambda x: x * Config.alpha, lambda: setattr(Config, "alpha", 0.1))
    assert said == ("Config.alpha was 0.5 and is 0.1",)


def test_keys_that_are_written_out_are_read():
    weights = {"first": 1.0, "second": 0.0, "third": 2.0}

    def step(x):
        return sum(weights[name] * x for name in ("first", "second"))

    said = changes_of(step, lambda: weights.update(second=0.5, third=3.0))
    assert said == ("weights['second'] was 0.0 and is 0.5",)


def test_losses_and_regularizers_are_what_they_were_made_with():
    loss_fn = keras.losses.Huber(1.0)
    dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))

    def step(x, y):
        return loss_fn(y, dense(x))

    def exchange(loss):
        nonlocal loss_fn
        loss_fn = loss

    (said,) = changes_of(step, lambda: exchange(keras.losses.Huber(0.1)))
    assert said.endswith("was 1.0 and is 0.1")
    (said,) = changes_of(step, lambda: exchange(keras.losses.Huber(0.1, "sum")))
    assert said.endswith("was 'sum_over_batch_size' and is 'sum'")
    assert changes_of(step, lambda: exchange(keras.losses.MeanSquaredError()))
    assert changes_of(step, lambda: exchange(keras.losses.mean_squared_error))
    (said,) = changes_of(step, lambda: exchange(keras.losses.mean_absolute_error))
    assert re.search(r"loss_fn was '\S+squared_error' and is '\S+absolute_error'", said)
    penalty = dense.kernel_regularizer
    (said,) = changes_of(step, lambda: setattr(penalty, "l2", 0.2))
    assert "kernel_regularizer.l2 was" in said


def test_functions_that_an_object_or_a_list_holds_are_seen():
    def first(x):
        return x

    def second(x):
        return 2 * x

    trainer, augment = Holder(), [first]
    trainer.used = first

    def step(x):
        return trainer.used(augment[0](x))

    said = changes_of(step, lambda: setattr(trainer, "used", second))
    assert said == ("trainer.used() was another function",)
    assert changes_of(step, lambda: augment.append(second))


def test_methods_that_are_exchanged_are_seen(monkeypatch):
    layer = Scaled(name="scaled")
    said = changes_of(
        lambda x: layer(x),
        lambda: monkeypatch.setattr(Scaled, "call", lambda self, x: x + RATE),
    )
    assert any("was another function" in words for words in said)


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as Keras' documentation has it, without a `get_config`."""

    def __init__(self, warmup):
        self.warmup = warmup

    def __call__(self, step):
        return keras.ops.cast(step, "float32") / self.warmup


def test_a_schedule_of_the_users_own_need_not_tell_its_configuration():
    schedule = Warmup(512)
    optimizer = keras.optimizers.SGD(schedule, name="sgd")
    said = changes_of(
        lambda g: optimizer.apply_gradients(g), lambda: setattr(schedule, "warmup", 9)
    )
    assert said == ("sgd.learning_rate.warmup was 512 and is 9",)


def test_a_layer_may_call_anything_its_layers():
    class Deep(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="deep")
            self.layers = 4

        def call(self, x):
            return x * self.layers

    deep = Deep()
    assert found(lambda x: deep(x))["deep.layers"] == 4


def test_what_a_step_reads_of_our_own_objects_is_seen():
    loop = ol.Loop(observers=[])
    loop.memory["beta"] = 0.5
    epochs = loop.epochs(2)
    epoch = next(epochs)

    def step(x):
        return x * epoch.number * loop.memory["beta"]

    def go_on():
        nonlocal epoch
        epoch = next(epochs)

    assert changes_of(step, go_on) == ("epoch.number was 1 and is 2",)
    said = changes_of(step, lambda: loop.memory.update(beta=0.25, other=1))
    assert said == ("loop.memory['beta'] was 0.5 and is 0.25",)


def test_the_names_of_arguments_are_no_keys_and_no_attributes():
    settings = {"used": 1, "name": 2}

    def step(x):
        return settings["used"] * inner(x, name=x)

    def inner(x, name):
        return x

    assert found(step) == {"settings['used']": 1}


def test_the_words_and_pairs_of_a_layer_are_read():
    layer = keras.layers.Conv2D(1, 3, strides=2, padding="same", name="convolution")

    def step(x):
        return layer(x)

    numbers = found(step)
    assert numbers["convolution.padding"] == "same"
    assert numbers["convolution.strides"] == (2, 2)
    assert numbers["convolution.dtype_policy"] == "float32"
    assert "convolution.name" not in numbers
