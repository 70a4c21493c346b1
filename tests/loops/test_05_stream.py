"""Loop 5: a stream of unknown length, counted in steps instead of epochs."""

import gc
import threading

import keras
import numpy as np
import pytest

import ownloop as ol


class Stream:
    """Five batches, each full of its own number; nobody knows how many there are."""

    def __iter__(self):
        for number in range(5):
            yield np.full((2, 1), number, "float32")


@pytest.mark.in_turn
def test_a_pass_of_steps_goes_on_where_the_last_one_ended():
    total = keras.Variable(0.0, trainable=False)

    def train_step(x):
        total.assign_add(keras.ops.mean(x))
        return {"number": keras.ops.mean(x)}

    def val_step(x):
        return {"total": total + keras.ops.mean(x)}

    stream, val = Stream(), ol.Batches(np.zeros((2, 1)), batch_size=2)
    loop = ol.Loop(total=total, observers=[])
    for epoch in loop.epochs():
        epoch.train(train_step, stream, steps=3).run()
        epoch.validate(val_step, val)
        if loop.step >= 12:
            loop.stop("12 steps")

    # The stream begins again at its end; no batch is lost and none comes twice.
    seen = loop.history.steps["train_number"].tolist()
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert loop.history["epoch"].tolist() == [1, 2, 3, 4]
    assert loop.history["step"].tolist() == [3, 6, 9, 12]
    assert loop.history["val_total"].tolist() == np.cumsum(seen)[2::3].tolist()
    assert loop.stopped == "12 steps"
    assert loop.compilations == {"train_step": 1, "val_step": 1}


def test_arrays_in_memory_go_on_as_well_and_are_shuffled_anew_at_their_end():
    def step(x):
        return {"number": keras.ops.mean(x)}

    data = ol.Batches(np.arange(5.0), batch_size=1, shuffle=True, seed=3)
    loop = ol.Loop(observers=[], compile=False)
    for epoch in loop.epochs(2):
        for chunk in epoch.train(step, data, steps=4, every=3):
            if chunk.step == 7:
                break
    seen = loop.history.steps["train_number"].tolist()
    orders = [*data.rows(1).tolist(), *data.rows(2).tolist()]
    assert seen == orders[:7]


def test_passes_that_were_made_first_and_run_later_share_the_data_in_turn():
    def step(x):
        return {"number": keras.ops.mean(x)}

    data = Stream()
    loop = ol.Loop(observers=[], compile=False)
    for epoch in loop.epochs(1):
        first = epoch.train(step, data, steps=2, name="first")
        second = epoch.train(step, data, steps=3, name="second")
        first.run()
        second.run()
    assert loop.history.steps["first_number"].tolist() == [0, 1]
    assert loop.history.steps["second_number"].tolist() == [2, 3, 4]


@pytest.mark.in_turn
def test_no_thread_is_left_behind():
    def step(x):
        return {"number": keras.ops.mean(x)}

    def feeds():
        return {t for t in threading.enumerate() if t.name == "ownloop-feed"}

    others = feeds()  # of tests before this one, whose errors are kept
    loop = ol.Loop(observers=[], compile=False)
    for epoch in loop.epochs(1):
        epoch.train(step, Stream()).run()
        epoch.train(step, Stream(), steps=3, name="more").run()
    assert feeds() - others
    del loop, epoch
    gc.collect()
    assert not feeds() - others
