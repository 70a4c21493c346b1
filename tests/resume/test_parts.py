"""A part of an object has one name, whatever else of the object is there."""

import keras
import pytest

from ownloop.errors import CheckpointError
from ownloop.resume import owned
from ownloop.resume.parts import parts_of
from ownloop.resume.waiting import Waiting

layers = keras.layers


class Noisy(layers.Layer):
    """Has a seed and a count from the beginning, and its weights when it is built."""

    def __init__(self):
        super().__init__()
        self.draws = keras.random.SeedGenerator(1)
        self.count = self.add_weight(shape=(), trainable=False, name="count")

    def build(self, shape):
        self.scale = self.add_weight(shape=(), name="scale")


class Tied(layers.Layer):
    """Has a weight that is another layer's, once it is built."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(3, use_bias=False)

    def build(self, shape):
        if not self.first.built:
            self.first.build(shape)
        self.own = self.add_weight(shape=(3,), name="own")
        self.same = self.first.kernel


class OnDemand(layers.Layer):
    """Makes its layers when they are asked for."""

    def of(self, name):
        setattr(self, name, layers.Dense(1, use_bias=False))
        getattr(self, name).build((None, 2))


def names_of(thing):
    return {name: id(v) for name, v in owned.named({"thing": thing}).items()}


@pytest.mark.parametrize(
    ("make", "build"),
    [
        (Noisy, lambda layer: layer.build((2, 3))),
        (
            lambda: keras.Sequential([layers.Dropout(0.5, seed=1), layers.Dense(2)]),
            lambda model: model.build((2, 3)),
        ),
        (Tied, lambda layer: layer.build((2, 3))),
        (
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
            lambda optimizer: optimizer.build([keras.Variable(1.0)]),
        ),
    ],
)
def test_what_is_built_later_moves_no_name(make, build):
    thing = make()
    if isinstance(thing, Tied):
        thing.first.build((2, 3))
    before = names_of(thing)
    build(thing)
    after = names_of(thing)
    assert before
    assert before.items() < after.items()
    assert set(after.values()) == {id(v) for v in thing.variables}


def test_parts_have_the_names_of_their_kinds():
    noisy = Noisy()
    noisy.build((2, 3))
    names = ["noisy/weight0", "noisy/state0", "noisy/seed0"]
    assert list(owned.named({"noisy": noisy})) == names
    metric = keras.metrics.Mean()
    assert list(owned.named({"metric": metric})) == ["metric/0", "metric/1"]
    seed = keras.random.SeedGenerator(1)
    assert list(owned.named({"seed": seed})) == ["seed/0"]


def test_variables_that_only_an_object_itself_knows_are_named_too():
    more = keras.Variable(1.0)

    class Another(layers.Layer):
        @property
        def variables(self):
            return [*super().variables, more]

    assert owned.named({"thing": Another()}) == {"thing/more0": more}


def test_an_optimizer_s_numbers_know_no_rate():
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([keras.Variable(1.0)])
    before = names_of(optimizer)
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 9)
    del before["thing/learning_rate"]
    assert names_of(optimizer) == before


def kept(*names):
    """Returns what a checkpoint would have of layers that were made in this order."""
    thing = OnDemand()
    for name in names:
        thing.of(name)
    objects = {"thing": thing}
    return objects, owned.entries_of(owned.named(objects)), owned.holders(objects)


@pytest.mark.parametrize("names", [["second", "first"], ["second"]])
def test_layers_that_are_made_in_another_order_are_refused(names):
    _, entries, holders = kept("first", "second")
    objects, before, now = kept(*names)
    waiting = Waiting(entries, holders=holders)
    words = "thing/0 was held by `first` and is by `second`"
    with pytest.raises(CheckpointError, match=words):
        waiting.assign(owned.named(objects), holders=now)
    after = owned.entries_of(owned.named(objects))
    assert all((after[n].array == before[n].array).all() for n in before)


def test_another_attribute_that_holds_a_part_as_well_is_no_difference():
    objects, entries, holders = kept("first", "second")
    objects["thing"].best = objects["thing"].first
    waiting = Waiting(entries, holders=holders)
    waiting.assign(owned.named(objects), holders=owned.holders(objects))
    assert not waiting.entries


@pytest.mark.parametrize("hold", [list, tuple, lambda held: dict(enumerate(held))])
def test_an_attribute_may_mean_one_and_then_another_entry_of_a_list(hold):
    def blocks():
        thing = layers.Layer()
        thing.blocks = hold([layers.Dense(1), layers.Dense(1)])
        for i in range(2):
            thing.blocks[i].build((None, 2))
        return thing

    before, now = blocks(), blocks()
    before.last, before.present = before.blocks[0], before.blocks[1]
    now.present = now.blocks[0]
    objects, then = {"thing": now}, {"thing": before}
    entries = owned.entries_of(owned.named(then))
    waiting = Waiting(entries, holders=owned.holders(then))
    waiting.assign(owned.named(objects), holders=owned.holders(objects))
    assert not waiting.entries


def test_what_has_got_a_value_may_not_move_while_others_wait():
    first, second = (keras.Variable(v, name="v") for v in (1.0, 2.0))
    entries = owned.entries_of({"a/0": first, "a/1": second, "b/0": first})
    waiting = Waiting(entries)
    waiting.assign({"a/0": first, "b/0": second})
    words = r"a/0 \(v\) got its value as that, and is a/1"
    with pytest.raises(CheckpointError, match=words):
        waiting.assign({"a/0": second, "a/1": first})
    # Of what is complete a script may do with its variables as it likes.
    waiting.assign({"a/0": first, "a/1": second, "b/1": second})
    waiting.assign({"a/0": second, "a/1": first})


def test_a_layer_that_several_have_has_one_name():
    shared = layers.Dense(1, use_bias=False)
    shared.build((None, 2))
    model = keras.Sequential([shared, keras.Sequential([shared])])
    assert list(owned.named({"model": model})) == ["model/0/weight0"]
    places = [part.name for part in parts_of("model", model)]
    assert places == ["model", "model/0", "model/0/weight0", "model/1", "model/1/0"]
