"""Loops in several threads, each with models of its own, know nothing of each other."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import keras

import ownloop as ol
from ownloop.backends.births import Births
from ownloop.backends.scope import Discovery, innermost
from ownloop.guards.watching import watching


def value_of(variable):
    return float(keras.ops.convert_to_numpy(variable.value))


@contextlib.contextmanager
def entered_in_a_thread(make):
    """Let another thread stand within a block for as long as this one does."""
    is_within, may_leave = threading.Event(), threading.Event()

    def stand():
        with make() as made:
            is_within.set()
            assert may_leave.wait(60)
        return made

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(stand)
        try:
            assert is_within.wait(60)
            yield future
        finally:
            may_leave.set()


def test_a_scope_that_another_thread_has_opened_is_none_of_this_one():
    v = keras.Variable(1.0)

    def loss():
        v.assign_add(1.0)
        return (v - 5.0) ** 2

    def choose(x):
        return ol.cond(x > 0, lambda: v.assign_add(x), lambda: v.assign_add(0.0 * x))

    with entered_in_a_thread(Discovery) as other:
        assert innermost() is None
        ol.value_and_grad(loss, [v])()
        assert value_of(v) == 2.0
        choose(keras.ops.convert_to_tensor(1.0))
    assert value_of(v) == 3.0
    assert other.result().variables == ()


def test_each_thread_takes_note_of_its_own_variables():
    plain = keras.Variable.__init__
    with contextlib.ExitStack() as outer:
        with entered_in_a_thread(Births) as other:
            births = outer.enter_context(Births())
            first = keras.Variable(1.0)
        # The other one, which has begun first, has ended first.
        second = keras.Variable(2.0)
    third = keras.Variable(3.0)
    assert other.result().variables == ()
    assert [v is w for v, w in zip(births.variables, (first, second), strict=True)]
    assert keras.Variable.__init__ is plain
    assert all(v is not third for v in births.variables)


def test_who_watches_a_replay_is_told_of_the_own_thread_only():
    seen, layer = [], keras.layers.Rescaling(2.0)

    def note(*details):
        seen.append(details)

    with entered_in_a_thread(lambda: watching(note, note)):
        layer(keras.ops.ones((2,)))
    assert seen == []
    with watching(note, note):
        layer(keras.ops.ones((2,)))
    assert len(seen) == 1
