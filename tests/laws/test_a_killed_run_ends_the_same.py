"""The law of resuming: stopped anywhere and run again, a script ends the same.

Here the script is stopped by an exception in its own body, at every chunk in turn, and
run again with new objects. `make faults` kills real processes.
"""

import random
import time

import keras
import numpy as np
import pytest

import ownloop as ol


class Killed(Exception):
    """Ends a script as a kill would: nothing is saved after it."""


class Job:
    """Variables, a step that changes them, and what a script has printed."""

    def __init__(self, folder, kill_at, save, *, owns_all, compile):
        keras.utils.set_random_seed(0)
        self.weight = keras.Variable(np.zeros(3, "float32"))
        self.mean = keras.Variable(0.0, trainable=False)
        self.noise = keras.random.SeedGenerator(7)
        self.metric = keras.metrics.Mean()
        self.kill_at, self.looks = kill_at, 0
        owned = {"weight": self.weight}
        if owns_all:
            owned |= {"mean": self.mean, "noise": self.noise, "metric": self.metric}
        self.notices = []
        self.loop = ol.Loop(
            folder=folder,
            save=save,
            observers=[self.notices.append],
            compile=compile,
            **owned,
        )

    def train_step(self, x):
        with ol.GradientTape() as tape:
            noise = keras.random.normal((3,), seed=self.noise)
            loss = keras.ops.mean((self.weight + 0.1 * noise - x) ** 2)
        self.weight.assign_sub(0.1 * tape.gradient(loss, self.weight))
        self.mean.assign(0.9 * self.mean + 0.1 * loss)
        self.metric.update_state(loss)
        return {"loss": loss, "metric": self.metric, "last": ol.last(x)}

    def val_step(self, x):
        self.metric.update_state(keras.ops.mean(x))
        return {"loss": keras.ops.mean((self.weight - x) ** 2), "metric": self.metric}

    def look(self, chunk=None):
        """Handles a chunk, or is killed in the middle of it."""
        self.looks += 1
        if chunk is not None:
            steps = [value.tolist() for value in chunk.steps.values()]
            self.loop.print(chunk.step, chunk.batch, dict(chunk.mean), steps)
            self.loop.print(np.asarray(chunk.last["last"]).tolist())
            self.weight.assign(self.weight + 0.001 * random.random() * np.random.rand())
            self.loop.memory["looks"] = self.loop.memory.get("looks", 0) + 1
        if self.looks == self.kill_at:
            raise Killed

    def result(self, folder):
        """Returns all that two equal runs have in common."""
        parts = (self.weight, self.mean, self.noise.state, *self.metric.variables)
        state = [keras.ops.convert_to_numpy(v.value).tobytes() for v in parts]
        self.loop.history.to_json(folder / "history.json")
        texts = [(folder / name).read_text() for name in ("history.json", "log.txt")]
        return (
            state,
            texts,
            self.loop.memory,
            (self.loop.step, self.loop.epoch, self.loop.stopped),
            random.random(),
            np.random.rand(),
        )


DATA = np.random.default_rng(0).normal(size=(14, 3)).astype("float32")


def batches():
    return ol.Batches(DATA, batch_size=4, shuffle=True, seed=1)


def looks_and_validations(job):
    for epoch in job.loop.epochs(2):
        job.loop.print("Epoch", epoch.number)
        job.weight.assign(job.weight * 0.5)  # The head of an epoch acts once.
        for chunk in epoch.train(job.train_step, batches(), every=2):
            job.look(chunk)
            result = epoch.validate(job.val_step, batches(), name="middle")
            job.loop.print("middle", dict(result))
        job.weight.assign(job.weight * 0.9)
        job.loop.print("val", dict(epoch.validate(job.val_step, batches())))
        job.look()
    job.loop.print("test", dict(job.loop.validate(job.val_step, batches())))


def passes_of_steps(job):
    data = batches()
    for epoch in job.loop.epochs(3):
        for chunk in epoch.train(job.train_step, data, steps=5, every=3):
            job.look(chunk)


def a_stream(job):
    stream = [DATA[i : i + 3] for i in range(0, 14, 3)]
    for epoch in job.loop.epochs(2):
        for chunk in epoch.train(job.train_step, stream, every=2):
            job.look(chunk)
        job.look()


def a_stream_of_steps(job):
    stream = [DATA[i : i + 3] for i in range(0, 14, 3)]
    for epoch in job.loop.epochs(3):
        for chunk in epoch.train(job.train_step, stream, steps=4, every=3):
            job.look(chunk)


def steps_without_data(job):
    def step():
        return job.train_step(0.5)

    for epoch in job.loop.epochs(2):
        for chunk in epoch.train(step, steps=5, every=2):
            job.look(chunk)


def one_chunk_for_each_pass(job):
    for epoch in job.loop.epochs(3):
        job.look()
        for chunk in epoch.train(job.train_step, batches()):
            job.look(chunk)


def passes_that_run_by_themselves(job):
    for epoch in job.loop.epochs(3):
        first = epoch.train(job.train_step, batches(), name="first").run()
        job.look()
        second = epoch.train(job.train_step, batches(), name="second").run()
        job.loop.print(dict(first), dict(second))
        job.look()


def two_rounds(job):
    for epoch in job.loop.epochs(2):
        epoch.train(job.train_step, batches()).run()
        job.look()
    job.weight.assign(job.weight + 1)
    job.loop.print("between", dict(job.loop.validate(job.val_step, batches())))
    for epoch in job.loop.epochs(4):
        for chunk in epoch.train(job.train_step, batches(), every=3):
            job.look(chunk)


def a_round_that_is_stopped(job):
    for epoch in job.loop.epochs():
        epoch.train(job.train_step, batches()).run()
        loss = epoch.validate(job.val_step, batches()).loss
        job.look()
        if job.loop.history.lowest("val_loss").age == 0:
            job.loop.save("best")
        job.loop.print(loss, job.loop.history.lowest("val_loss"))
        if epoch.number == 3:
            job.loop.stop("that is enough")
    job.loop.load("best")


def a_pass_that_is_left(job):
    for epoch in job.loop.epochs(2):
        for chunk in epoch.train(job.train_step, batches(), every=1):
            job.look(chunk)
            if chunk.batch == 2:
                break
        job.look()


def a_validation_before_all(job):
    before = job.loop.validate(job.val_step, batches(), name="before")
    job.loop.print("before", dict(before))
    for epoch in job.loop.epochs(2):
        job.weight.assign(job.weight + 1)
        for chunk in epoch.train(job.train_step, batches(), every=2):
            job.look(chunk)
        loss = epoch.validate(job.val_step, batches(), name="before").loss
        job.loop.print(loss, job.loop.history.lowest("before_loss"))


def two_steps_of_one_name(job):
    def other(x):
        return job.train_step(2 * x)

    for epoch in job.loop.epochs(2):
        for step in (job.train_step, other):
            for chunk in epoch.train(step, batches(), every=3):
                job.look(chunk)


SCRIPTS = [
    a_validation_before_all,
    two_steps_of_one_name,
    looks_and_validations,
    passes_of_steps,
    a_stream,
    a_stream_of_steps,
    steps_without_data,
    one_chunk_for_each_pass,
    passes_that_run_by_themselves,
    two_rounds,
    a_round_that_is_stopped,
    a_pass_that_is_left,
]


def run(script, folder, kill_at=0, save=1, *, owns_all=False, compile=False):
    job = Job(folder, kill_at, save, owns_all=owns_all, compile=compile)
    script(job)
    return job.result(folder)


@pytest.mark.in_turn(most=2)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_wherever_it_is_stopped_it_ends_the_same(script, tmp_path, turns):
    whole = run(script, tmp_path / "whole")
    kills = 0
    # Nothing is compiled, and the loop's logic is the same on all backends.
    for kill_at in turns():
        folder = tmp_path / str(kill_at)
        try:
            stopped = run(script, folder, kill_at)
            break
        except Killed:
            stopped, kills = run(script, folder), kills + 1
        assert stopped == whole, f"killed at look {kill_at}"

    assert stopped == whole
    assert kills


@pytest.mark.in_turn(of=("jax", "tensorflow"), most=1)
@pytest.mark.parametrize("kill_at", [2, 4, 5])
def test_a_compiled_run_ends_the_same(tmp_path, kill_at):
    def go(folder, kill_at=0):
        return run(looks_and_validations, folder, kill_at, compile=True)

    whole = go(tmp_path / "whole")
    with pytest.raises(Killed):
        go(tmp_path / "killed", kill_at)
    assert go(tmp_path / "killed") == whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return what comes of looks and validations that nobody stops."""
    return run(looks_and_validations, tmp_path_factory.mktemp("whole"))


@pytest.mark.in_turn
@pytest.mark.parametrize("save", [None, 2, 3])
def test_when_it_is_saved_changes_nothing(whole, save, tmp_path):
    with pytest.raises(Killed):
        run(looks_and_validations, tmp_path / "a", kill_at=4, save=save)

    assert run(looks_and_validations, tmp_path / "a", save=save) == whole


@pytest.mark.in_turn
@pytest.mark.parametrize("name", ["time", "monotonic", "perf_counter"])
def test_a_clock_that_jumps_changes_nothing(whole, name, tmp_path, monkeypatch):
    clock, jumps = getattr(time, name), np.random.default_rng(0)
    monkeypatch.setattr(time, name, lambda: clock() + jumps.uniform(-1e6, 1e6))
    save = ol.every(ol.minutes(5))
    with pytest.raises(Killed):
        run(looks_and_validations, tmp_path / "a", kill_at=4, save=save)

    assert run(looks_and_validations, tmp_path / "a", save=save) == whole


def test_it_may_be_stopped_again_and_again(whole, tmp_path):
    last, kills = None, 0
    while last is None:
        # Each comes one look further than the one before it.
        try:
            last = run(looks_and_validations, tmp_path / "a", kill_at=2)
        except Killed:
            kills += 1
    assert kills > 3

    assert last == whole


@pytest.mark.in_turn
def test_a_finished_run_does_nothing_again(tmp_path):
    first = run(two_rounds, tmp_path / "a", owns_all=True)

    assert run(two_rounds, tmp_path / "a", owns_all=True) == first


def test_it_is_said_which_variables_wait_for_their_step(tmp_path):
    run(passes_of_steps, tmp_path / "a")
    job = Job(tmp_path / "a", 0, 1, owns_all=False, compile=False)
    passes_of_steps(job)

    assert any("get their values when" in str(notice) for notice in job.notices)


@pytest.mark.in_turn
def test_a_finished_run_goes_on_where_more_epochs_are_asked_for(tmp_path):
    def script(job, epochs):
        for epoch in job.loop.epochs(epochs):
            epoch.train(job.train_step, batches()).run()

    whole = run(lambda job: script(job, 4), tmp_path / "whole")
    run(lambda job: script(job, 2), tmp_path / "a")

    assert run(lambda job: script(job, 4), tmp_path / "a") == whole
