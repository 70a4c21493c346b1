"""What the host does for a chunk, counted: no clock decides here.

Calls are counted with Python's own profiler hook: those of Python functions, and those
that Python makes into C. Where steps are fused the host works per block of steps, on
PyTorch per step, and nowhere more than is written here.
"""

import sys
import types

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop import backends
from ownloop.loop.shelf import shelf_of

BATCH = 4
BLOCK = 128
"""So many batches of this size make a block; `choose_capacity` says so."""

CALLS_PER_BLOCK = {"jax": 400, "tensorflow": 700}
CALLS_PER_STEP = {"torch": 80}


def job(dtype="float32"):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    optimizer = keras.optimizers.Adam(0.01)

    def step(x):
        with ol.GradientTape() as tape:
            loss = keras.ops.mean(model(keras.ops.cast(x, "float32")) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return {"loss": loss}

    x = np.ones((2 * 20 * BLOCK * BATCH, 8), dtype)
    loop = ol.Loop(model=model, optimizer=optimizer, observers=[])
    return loop, step, ol.Batches(x, batch_size=BATCH)


@pytest.fixture
def unhurried(monkeypatch):
    """No chunk is cut by the clock, however slow this machine is."""
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 1e9)


def calls_of(function):
    """Counts the calls that Python makes while a function runs."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_the_host_works_per_block_and_not_per_step(backend, unhurried):
    loop, step, data = job()
    counts = []
    for epoch in loop.epochs(1):
        epoch.train(step, data, steps=3 * BLOCK, name="warm").run()
        for blocks in (5, 20):
            made = epoch.train(step, data, steps=blocks * BLOCK)
            counts.append(calls_of(made.run))
    few, many = counts
    per_block = (many - few) / 15
    print(f"\n{backend}: {per_block:.0f} calls per block, {few} for a chunk of 5")
    if backend in CALLS_PER_BLOCK:
        assert per_block <= CALLS_PER_BLOCK[backend]
    else:
        assert per_block / BLOCK <= CALLS_PER_STEP[backend]
    assert few - 5 * per_block <= 3000  # what a chunk costs, however long it is


def test_a_program_is_called_once_for_a_block(backend, unhurried, monkeypatch):
    loop, step, data = job()
    for epoch in loop.epochs(1):
        epoch.train(step, data, steps=3 * BLOCK, name="warm").run()
        attribute = "_call" if backend == "torch" else "_advance"
        calls = count_calls(monkeypatch, program_of(step), attribute)
        epoch.train(step, data, steps=10 * BLOCK).run()
    assert len(calls) == (10 * BLOCK if backend == "torch" else 10)


def count_calls(monkeypatch, owner, name):
    """Returns a list that gets the first argument of each call of a function."""
    function, calls = getattr(owner, name), []

    def counted(*arguments):
        calls.append(arguments[0])
        return function(*arguments)

    monkeypatch.setattr(owner, name, counted)
    return calls


def program_of(step):
    (entry,) = shelf_of(step).entries
    return entry.prepared.program


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_data_go_to_the_device_once_and_as_they_are(dtype, monkeypatch):
    loop, step, data = job(dtype)
    placed = []
    place = type(backends.current()).place

    def counted(self, arrays):
        placed.extend(array.nbytes for array in arrays)
        return place(self, arrays)

    monkeypatch.setattr(type(backends.current()), "place", counted)
    for epoch in loop.epochs(3):
        epoch.train(step, data, steps=10).run()
        epoch.train(step, data, steps=10, every=1, name="looked").run()
    assert placed == [data.leaves[0].nbytes]


def test_values_come_to_the_host_once_for_a_chunk(backend, unhurried, monkeypatch):
    loop, step, data = job()
    for epoch in loop.epochs(1):
        epoch.train(step, data, steps=3 * BLOCK, name="warm").run()
        module = sys.modules[type(program_of(step)).__module__]
        if backend == "torch":
            waits = count_calls(monkeypatch, module.place, "to_host")
        else:
            numbers = types.SimpleNamespace(**vars(np))
            waits = count_calls(monkeypatch, numbers, "concatenate")
            monkeypatch.setattr(module, "np", numbers)
        epoch.train(step, data, steps=10 * BLOCK).run()
    # One column of losses: joined once from its blocks; on PyTorch a block at a time.
    if backend == "torch":
        assert [column.shape for column in waits] == [(BLOCK,)] * 10
    else:
        assert [len(blocks) for blocks in waits] == [10]
