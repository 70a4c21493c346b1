"""A step that makes something NaN or infinite is undone, wherever it stands.

Skipping is the same as if the batch were not in the data, to the bit, however often one
looks; a run without such steps is the same with and without a guard.
"""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.events import Notice
from ownloop.loop import pieces
from ownloop.loop.runner import Runner

BATCH, BATCHES = 4, 24
NAN = float("nan")


def make_data(bad=()):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH * BATCHES, 6)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int32")
    for batch in bad:
        x[BATCH * batch + 1, 2] = np.nan
    return x, y


def streamed(x, y):
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x), BATCH)]


def resident(x, y):
    return ol.Batches((x, y), batch_size=BATCH)


@pytest.fixture(scope="module")
def job():
    """A model with all kinds of state, put back to its first values for each run."""
    keras.utils.set_random_seed(0)
    dropout = keras.layers.Dropout(0.25, seed=3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                8, activation="tanh"
            ),  # TensorFlow's relu turns NaN into 0
            keras.layers.BatchNormalization(),
            dropout,
            keras.layers.Dense(2),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(model.trainable_variables)
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    lowest = keras.Variable(-np.inf, trainable=False, name="lowest")

    def step(x, y):
        with ol.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_fn(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        accuracy.update_state(y, logits)
        none = keras.ops.log(keras.ops.sum(x) * 0 - 1)
        return {"loss": loss, "accuracy": accuracy, "undefined": none, "low": lowest}

    parts = (model, optimizer, accuracy)
    state = [v for part in parts for v in part.variables]
    state += [dropout.seed_generator.state, lowest]
    state = list({id(v): v for v in state}.values())
    first = [keras.ops.copy(variable.value) for variable in state]

    class Job:
        def __init__(self):
            self.step, self.state, self.model = step, state, model

        def begin(self):
            for variable, value in zip(state, first, strict=True):
                variable.assign(value)

        def loop(self, **options):
            self.begin()
            return ol.Loop(model=model, **{"observers": ()} | options)

        def train(self, bits, data, *, every=None, **options):
            loop = self.loop(**options)
            for epoch in loop.epochs(1):
                for _ in epoch.train(step, data, every=every):
                    pass
            steps = {n: loop.history.steps[f"train_{n}"] for n in ("loss", "accuracy")}
            return loop, bits(state), steps, dict(loop.history.row(1))

    return Job()


def check_skipped(result, reference, bad):
    """The run is that over the good batches alone, to the bit, but for its records."""
    loop, state, steps, row = result
    _, good_state, good_steps, good_row = reference
    assert state == good_state
    assert loop.skipped == len(bad)
    assert loop.step == BATCHES
    assert np.isnan(steps["loss"][list(bad)]).all()
    for name, values in steps.items():
        good = np.delete(values, list(bad))
        assert good.tolist() == good_steps[name].tolist()
    for name in ("train_loss", "train_accuracy"):
        assert row[name] == good_row[name]


BAD = [(0,), (23,), (11,), (0, 1, 12, 22, 23)]


@pytest.fixture(scope="module")
def good(job, bits):
    """The run over the good batches alone, for some of them bad."""
    known = {}

    def run(bad, compile=True):
        if (bad, compile) not in known:
            x, y = make_data()
            rows = np.delete(np.arange(len(x)).reshape(-1, BATCH), list(bad), axis=0)
            x, y = x[rows.reshape(-1)], y[rows.reshape(-1)]
            known[bad, compile] = job.train(bits, resident(x, y), compile=compile)
        return known[bad, compile]

    return run


@pytest.mark.in_turn(most=2)
@pytest.mark.parametrize("make", [resident, streamed])
@pytest.mark.parametrize("every", [1, 7, None])
@pytest.mark.parametrize("bad", BAD)
def test_a_skipped_batch_might_as_well_not_be_in_the_data(
    job, bits, good, bad, every, make
):
    data = make(*make_data(bad))
    result = job.train(bits, data, every=every, nonfinite="skip")
    check_skipped(result, good(bad), bad)


# Where nothing is compiled by us, JAX compiles each operation by itself.
@pytest.mark.once(on="torch")
def test_it_might_as_well_not_be_in_the_data_where_nothing_is_compiled(job, bits, good):
    bad = (0, 11, 23)
    data = resident(*make_data(bad))
    result = job.train(bits, data, every=7, nonfinite="skip", compile=False)
    check_skipped(result, good(bad, compile=False), bad)


def test_a_run_without_bad_steps_is_the_same_without_a_guard(job, bits, monkeypatch):
    data = resident(*make_data())
    results = [job.train(bits, data, every=7, nonfinite=n) for n in ("raise", "stop")]
    monkeypatch.setattr(
        Runner, "_settle", lambda self, stretch, part, earlier: plain(part)
    )
    results.append(job.train(bits, data, every=7))
    for _, state, steps, row in results[1:]:
        assert state == results[0][1]
        np.testing.assert_equal(row, results[0][3])
        assert steps["loss"].tolist() == results[0][2]["loss"].tolist()


def plain(part):
    from ownloop.loop.guard import Settled

    return Settled([part], [], is_over=False)


@pytest.mark.in_turn(most=1)
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize(("bad", "every"), [(0, 1), (11, 7), (11, None), (23, 7)])
def test_an_error_leaves_the_run_at_the_step_before(job, bits, bad, every, compile):
    x, y = make_data()
    cut = x[: BATCH * bad], y[: BATCH * bad]
    if bad:
        _, state, steps, _ = job.train(bits, resident(*cut), compile=compile)
    else:
        job.begin()
        state = bits(job.state)
    loop = job.loop(compile=compile)
    data, seen = resident(*make_data([bad])), 0

    def train():
        nonlocal seen
        for epoch in loop.epochs(1):
            for chunk in epoch.train(job.step, data, every=every):
                seen = chunk.step

    with pytest.raises(ol.errors.NonFiniteError, match=r"loss is nan") as caught:
        train()
    assert bits(job.state) == state
    assert loop.step == bad
    assert seen == (bad // every * every if every else 0)
    if bad:
        assert loop.history.steps["train_loss"].tolist() == steps["loss"].tolist()
    evidence = caught.value.evidence
    assert evidence is loop.evidence
    assert (evidence.where.step, evidence.where.batch) == (bad + 1, bad + 1)
    assert evidence.losses == ("loss",)
    np.testing.assert_array_equal(
        evidence.batch[0], data.leaves[0][BATCH * bad :][:BATCH]
    )


@pytest.mark.in_turn
@pytest.mark.parametrize(("bad", "every"), [(0, 7), (11, 1), (11, 7), (23, None)])
def test_stopping_makes_a_normal_chunk_of_the_good_steps(job, bits, bad, every):
    loop, data, seen = job.loop(nonfinite="stop"), resident(*make_data([bad])), 0
    for epoch in loop.epochs(3):
        for chunk in epoch.train(job.step, data, every=every):
            seen = chunk.step
    assert seen == loop.step == bad
    assert loop.stopped.startswith(f"step {bad + 1}: loss is nan")
    assert loop.epoch == 1
    if bad:
        x, y = make_data()
        cut = resident(x[: BATCH * bad], y[: BATCH * bad])
        assert bits(job.state) == job.train(bits, cut)[1]


@pytest.mark.parametrize("limit", [0, 2])
def test_after_so_many_skipped_steps_an_error_comes(job, limit):
    bad = (3, 5, 9, 12)
    loop, data = job.loop(nonfinite=limit), resident(*make_data(bad))

    def train():
        for epoch in loop.epochs(1):
            epoch.train(job.step, data).run()

    with pytest.raises(ol.errors.NonFiniteError, match=f"Step {bad[limit] + 1} "):
        train()
    assert (loop.skipped, loop.step) == (limit, bad[limit])


def test_it_is_said_once_and_counted_at_the_end(job, bits):
    said = []
    data = resident(*make_data((3, 5, 9)))
    job.train(bits, data, nonfinite="skip", observers=[said.append])
    texts = [e.text for e in said if isinstance(e, Notice) and "skipped" in e.text]
    assert len(texts) == 2
    assert texts[0].startswith("Step 4 (epoch 1, batch 4 of the pass 'train') was sk")
    assert texts[1] == "2 more steps were skipped in the pass 'train'; 3 in the run"


def test_each_piece_of_evidence_is_handed_over(job):
    kept = []
    loop, data = job.loop(nonfinite="skip"), resident(*make_data((3, 9)))
    loop._run.guard.keep_evidence = kept.append
    for epoch in loop.epochs(1):
        epoch.train(job.step, data).run()
    assert [evidence.where.step for evidence in kept] == [4, 10]
    assert {v.path for v in job.state} >= {k.path for k in kept[0].state}
    assert any("seed" in k.path for k in kept[0].state)
    before = {k.path: k.value for k in kept[0].state}
    assert before["lowest"] == -np.inf


def test_bad_steps_in_a_row_share_the_state_before_them(job, monkeypatch):
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 1e9)
    kept = []
    loop, data = job.loop(nonfinite="skip"), resident(*make_data((3, 4, 5, 9)))
    loop._run.guard.keep_evidence = kept.append
    for epoch in loop.epochs(1):
        epoch.train(job.step, data).run()
    assert [evidence.where.step for evidence in kept] == [4, 5, 6, 10]
    assert kept[0].state is kept[1].state is kept[2].state
    iterations = [
        int(k.value) for e in kept for k in e.state if k.path.endswith("iteration")
    ]
    assert iterations == [3, 3, 3, 6]


def test_single_steps_are_guarded_and_validations_are_left_alone(job, bits):
    x, y = make_data()
    bad = make_data([0])[0][:BATCH], y[:BATCH]
    loop = job.loop(nonfinite=1)
    for epoch in loop.epochs(1):
        before = bits(job.state)
        assert np.isnan(epoch.step(job.step, *bad).loss)
        assert bits(job.state)[:2] == before[:2]
        assert np.isfinite(epoch.step(job.step, x[:BATCH], y[:BATCH]).loss)
        assert np.isnan(epoch.validate(job.step, [bad]).loss)
        before = bits(job.state)
        with pytest.raises(ol.errors.NonFiniteError, match="1 such steps were skipped"):
            epoch.step(job.step, *bad)
        assert bits(job.state) == before
    assert (loop.step, loop.skipped) == (2, 1)


def test_a_single_step_that_stops_the_run_shows_what_it_logged(job):
    x, y = make_data([0])
    loop = job.loop(nonfinite="stop")
    for epoch in loop.epochs(5):
        assert np.isnan(epoch.step(job.step, x[:BATCH], y[:BATCH]).loss)
    assert (loop.epoch, loop.step) == (1, 0)


def test_a_step_without_a_batch_is_not_skipped():
    def step():
        return {"loss": keras.ops.log(keras.ops.zeros(()))}

    def train():
        for epoch in ol.Loop(nonfinite="skip", observers=()).epochs(1):
            epoch.train(step, steps=10).run()

    with pytest.raises(ol.errors.NonFiniteError, match="would be the same again"):
        train()


@pytest.mark.parametrize("make", [resident, streamed])
def test_where_a_stretch_ends_changes_nothing(job, bits, good, make, monkeypatch):
    bad = (0, 1, 12, 22, 23)
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 0.0)
    monkeypatch.setattr(pieces, "KEPT_BYTES", 300)
    result = job.train(bits, make(*make_data(bad)), nonfinite="skip")
    check_skipped(result, good(bad), bad)


def test_batches_that_are_kept_end_a_stretch_before_they_fill_the_memory(
    job, bits, monkeypatch
):
    monkeypatch.setattr("ownloop.loop.pace.STRETCH_SECONDS", 1e9)
    held = []
    plain = Runner._settle

    def settle(self, stretch, part, earlier):
        held.append(len(stretch.pieces))
        return plain(self, stretch, part, earlier)

    monkeypatch.setattr(Runner, "_settle", settle)
    monkeypatch.setattr("ownloop.loop.pace.Pace.room", lambda self, done: 1)
    monkeypatch.setattr(pieces, "KEPT_BYTES", 300)
    job.train(bits, streamed(*make_data()))
    # A batch has 112 bytes, and is a piece of its own.
    assert held == [3] * 8


@pytest.mark.parametrize("value", ["ignore", -1, True, 2.5, None])
def test_an_unknown_policy_is_refused(value):
    with pytest.raises(
        ol.errors.LoopError, match=r"nonfinite=\.\.\.\)` got .*Expected"
    ):
        ol.Loop(nonfinite=value)
