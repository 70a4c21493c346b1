"""Loop, Epoch, Pass and Chunk: what happens when, and who is told."""

import keras
import numpy as np
import pytest

import ownloop as ol
from ownloop.errors import HistoryError, LoopError
from ownloop.events import (
    ChunkDone,
    EpochDone,
    Failed,
    Notice,
    PassDone,
    Started,
    Stopped,
)

DATA = ol.Batches(np.arange(1.0, 6.0), batch_size=2)  # Batches of 2, 2 and 1.


class Job:
    """A loop that adds its batches up, and hears what it is told."""

    def __init__(self, **options):
        self.total = keras.Variable(0.0, trainable=False)
        self.metric = keras.metrics.Mean()
        self.events = []
        self.loop = ol.Loop(
            **{
                "total": self.total,
                "observers": [self.events.append],
                "compile": False,
                **options,
            }
        )

    def step(self, x):
        self.total.assign_add(keras.ops.sum(x))
        self.metric.update_state(x)
        return {"mean": keras.ops.mean(x), "metric": self.metric}

    @property
    def value(self):
        return float(self.total)

    @property
    def told(self):
        return [type(event).__name__ for event in self.events]


@pytest.fixture
def job():
    return Job()


def test_a_chunk_says_where_it_is_and_what_was_logged(job):
    chunks = []
    for epoch in job.loop.epochs(2):
        chunks += epoch.train(job.step, DATA, every=2)
    assert [(c.step, c.batch) for c in chunks] == [(2, 2), (3, 3), (5, 2), (6, 3)]
    first, second, third, _ = chunks
    assert first.steps["mean"].tolist() == [1.5, 3.5]
    assert second.steps.mean.tolist() == [5.0]
    assert (first.last.mean, first.mean.mean) == (3.5, 2.5)
    # Weighted by the examples: 15 / 5, where the mean of the means would be 10 / 3.
    assert second.mean.mean == 3.0
    assert second.mean.metric == second.last.metric == 3.0
    # Each pass starts its metrics from zero.
    assert third.steps["metric"].tolist() == [1.5, 2.5]
    assert type(second.mean.metric) is type(second.last.mean) is float


def test_epochs_is_the_total_and_goes_on_where_it_was(job):
    assert [e.number for e in job.loop.epochs(2) if e.train(job.step, DATA).run()] == [
        1,
        2,
    ]
    assert [e.number for e in job.loop.epochs(3) if e.train(job.step, DATA).run()] == [
        3
    ]
    assert list(job.loop.epochs(3)) == []
    assert list(job.loop.epochs(0)) == []
    assert (job.loop.epoch, job.loop.step) == (3, 9)
    assert job.loop.history["step"].tolist() == [3, 6, 9]


def test_a_round_without_an_epoch_left_says_so_and_what_would_train(job):
    def notices():
        return [e.text for e in job.events if isinstance(e, Notice)]

    for total in (0, 2, 3):  # As for a part that is trained first, and another.
        for epoch in job.loop.epochs(total):
            epoch.train(job.step, DATA).run()
    assert not notices()
    assert list(job.loop.epochs(2)) == []
    assert notices() == [
        "no epoch is left to train: 3 epochs are done, and 2 is their number in all; "
        "loop.epochs(4) trains one more"
    ]
    job.loop.stop("enough")
    assert list(job.loop.epochs(loop_total := 4))
    assert len(notices()) == 1
    assert job.loop.epoch == loop_total


def test_observers_hear_everything_in_order(job):
    for epoch in job.loop.epochs(1):
        epoch.train(job.step, DATA, every=2).run()
        epoch.validate(job.step, DATA)
        epoch.step(job.step, np.ones(2), name="own")
    assert job.told == [
        "Started",
        *["ChunkDone", "ChunkDone", "PassDone"],
        *["ChunkDone", "PassDone"],
        "PassDone",
        "EpochDone",
        "Stopped",
    ]
    started, first, second, done, looked, *_ = job.events
    assert (started.epochs_total, started.epoch, started.step) == (1, 0, 0)
    assert started.backend == keras.backend.backend()
    assert (first.epoch, first.pass_name, first.batch) == (1, "train", 2)
    assert (second.batch, second.batches, second.step) == (3, 3, 3)
    assert second.mean == done.values
    assert (looked.pass_name, looked.step) == ("val", 3)
    end, stopped = job.events[-2:]
    assert (end.number, end.step, end.row["val_mean"]) == (1, 4, 3.0)
    assert (stopped.reason, stopped.step, stopped.epoch) == ("1 epoch is done", 4, 1)
    assert {type(e) for e in job.events} <= {
        *(Started, Notice, ChunkDone, PassDone, EpochDone, Stopped, Failed)
    }


def test_a_failure_is_told_and_rolls_the_chunk_back(job):
    def fails(x):
        result = job.step(x)
        if job.value > 5:
            raise KeyError("mine")
        return result

    def run():
        for epoch in job.loop.epochs(1):
            epoch.train(fails, DATA, every=1).run()

    with pytest.raises(KeyError):
        run()
    assert job.told == ["Started", "ChunkDone", "Failed", "PassDone"]
    assert job.events[2].error.args == ("mine",)
    assert (job.value, job.loop.step, job.loop.epoch) == (3.0, 1, 0)
    # Entered again, the epoch starts anew.
    for epoch in job.loop.epochs(1):
        epoch.train(job.step, DATA).run()
    assert (job.value, job.loop.step, job.loop.epoch) == (18.0, 4, 1)


def test_stop_ends_the_pass_after_this_chunk_and_the_run_after_this_body(job):
    rest = []
    for epoch in job.loop.epochs(5):
        for chunk in epoch.train(job.step, DATA, every=1):
            if chunk.step == 5:
                job.loop.stop("enough")
        rest.append(epoch.number)
        if job.loop.stopped:
            epoch.validate(job.step, DATA)
    assert rest == [1, 2]
    assert job.loop.stopped == "enough"
    assert job.loop.step == 5
    assert job.loop.history["step"].tolist() == [3, 5]
    assert job.loop.history["val_mean"].tolist()[1] == 3.0
    assert job.events[-1] == Stopped(reason="enough", step=5, epoch=2)
    # The next loop over epochs begins without a reason to stop.
    for epoch in job.loop.epochs(3):
        epoch.train(job.step, DATA).run()
    assert job.loop.stopped is None
    assert job.loop.epoch == 3


def test_break_ends_the_pass_and_the_epoch_is_recorded_with_its_steps(job):
    for epoch in job.loop.epochs(2):
        for chunk in epoch.train(job.step, DATA, every=1):
            if chunk.batch == 2:
                break
        assert epoch["train_mean"] == 2.5
    assert job.loop.history["step"].tolist() == [2, 4]
    assert job.loop.history["train_mean"].tolist() == [2.5, 2.5]
    assert (job.loop.step, job.value) == (4, 20.0)


def test_leaving_the_loop_over_epochs_records_the_epoch_and_says_so(job):
    for epoch in job.loop.epochs(5):
        epoch.train(job.step, DATA).run()
        if epoch.number == 2:
            break
    assert job.loop.history["epoch"].tolist() == [1, 2]
    assert job.events[-1].reason == "the loop was left in epoch 2"
    assert [e.number for e in job.loop.epochs(3) if e.train(job.step, DATA).run()] == [
        3
    ]


class Bar:
    """Holds what it iterates, as a progress bar with a name does."""

    def __init__(self, iterable):
        self.iterable = iterable

    def __iter__(self):
        yield from self.iterable


@pytest.mark.parametrize("hold", [lambda epochs: epochs, Bar])
def test_a_loop_over_epochs_with_a_name_is_left_by_break_too(job, hold):
    epochs = hold(job.loop.epochs(5))
    for epoch in epochs:
        epoch.train(job.step, DATA).run()
        if epoch.number == 2:
            break
    assert (job.loop.epoch, job.events[-1].reason) == (
        2,
        "the loop was left in epoch 2",
    )
    job.loop.validate(job.step, DATA)
    for epoch in job.loop.epochs(job.loop.epoch + 1):
        epoch.train(job.step, DATA, name="fine").run()
    # Iterated once more, it is one more round for the total that it was made for.
    assert [e.number for e in epochs if e.train(job.step, DATA).run()] == [4, 5]
    assert job.loop.history["fine_mean"].tolist()[2] == 3.0
    assert "test_mean" not in job.loop.history.row(2)


def test_epochs_that_are_asked_for_one_by_one_make_one_round(job):
    epochs = job.loop.epochs(3)
    assert next(epochs).number == 1
    assert [epoch.number for epoch in epochs] == [2, 3]
    assert list(epochs) == []
    assert job.told.count("Started") == job.told.count("Stopped") == 1


@pytest.mark.parametrize("way", ["epochs", "run"])
def test_epochs_within_an_epoch_of_the_same_loop_are_refused_before_any_step(job, way):
    outer = Job()

    def within():
        if way == "run":
            job.loop.run(job.step, DATA, epochs=5)
        for inner in job.loop.epochs(5):
            inner.train(job.step, DATA).run()

    def cell(play):
        for epoch in job.loop.epochs(2):
            epoch.train(job.step, DATA).run()
            play()

    words = r"epoch [12] is under way.*Expected one after the other.*second `Loop`"
    with pytest.raises(LoopError, match=words):
        cell(within)
    # It is an error in the body, as any of the user's own would be.
    assert (job.loop.step, job.loop.epoch, job.value) == (3, 1, 15.0)

    # Where it is caught, the epochs around it go on; and another loop may train there.
    def caught():
        with pytest.raises(LoopError, match=words):
            within()

    cell(caught)
    assert (job.loop.step, job.loop.epoch) == (6, 2)
    for epoch in outer.loop.epochs(1):
        outer.loop.epochs(5)  # Nothing begins before it is iterated.
        list(Job().loop.epochs(1))
        epoch.train(outer.step, DATA).run()
    assert outer.loop.epoch == 1


def test_epochs_that_something_holds_are_let_go_before_others_begin(job):
    pairs = enumerate(job.loop.epochs(5))
    for _, epoch in pairs:
        epoch.train(job.step, DATA).run()
        break
    words = r"holds its iterator, such as a named `enumerate.*or `del` its name"
    with pytest.raises(LoopError, match=words):
        next(job.loop.epochs(3))
    assert (job.loop.step, job.loop.epoch) == (3, 0)
    del pairs
    assert (job.loop.step, job.loop.epoch) == (3, 1)
    assert [e.number for e in job.loop.epochs(2) if e.train(job.step, DATA).run()] == [
        2
    ]


def test_an_epoch_reads_its_own_row(job):
    for epoch in job.loop.epochs(1):
        with pytest.raises(HistoryError, match="val_mean"):
            epoch["val_mean"]
        epoch.validate(job.step, DATA)
        assert epoch["val_mean"] == 3.0
        assert repr(epoch) == "Epoch(1 of 1)"


def test_a_row_is_there_when_its_body_is_over_and_the_epoch_has_it_before(job):
    for epoch in job.loop.epochs(2):
        assert job.loop.history["epoch"].tolist() == list(range(1, epoch.number))
        epoch.validate(job.step, DATA)
        column = job.loop.history["val_mean"]
        assert len(column) == epoch.number - 1
        assert epoch["val_mean"] == job.loop.history.lowest("val_mean").value
    assert len(job.loop.history["val_mean"]) == 2


def test_single_steps_of_one_epoch_are_one_pass(job):
    for epoch in job.loop.epochs(2):
        # A bound method is a new object at each access, and yet one step.
        one = epoch.step(job.step, np.array([1.0, 3.0]))
        two = epoch.step(job.step, np.array([5.0]))
        assert (one.mean, two.mean) == (2.0, 5.0)
        assert two.metric == 3.0
    assert job.loop.history["train_mean"].tolist() == [3.0, 3.0]
    assert job.told.count("PassDone") == 2
    assert job.loop.step == 4


def test_a_step_without_data_takes_nothing(job):
    def step():
        job.total.assign_add(1.0)
        return {"total": job.total}

    for epoch in job.loop.epochs(1):
        epoch.train(step, steps=3).run()
        epoch.step(step, name="own")
    assert job.loop.history.steps["train_total"].tolist() == [1.0, 2.0, 3.0]
    assert job.loop.history.steps["own_total"].tolist() == [4.0]


def test_a_validation_leaves_no_trace(job):
    job.loop.validate(job.step, DATA)
    assert job.value == 0.0
    assert float(job.metric.result()) == 0.0
    assert job.loop.step == 0
    assert job.loop.history.looks("test_mean").value.tolist() == [3.0]


def test_save_keeps_the_named_objects_and_load_brings_them_back():
    class Buffer:
        def __init__(self):
            self.items = [1]

        def get_state(self):
            return list(self.items)

        def set_state(self, state):
            self.items = list(state)

    buffer = Buffer()
    seed = keras.random.SeedGenerator(1)
    job = Job(buffer=buffer, seed=seed)
    job.loop.memory["best"] = 3
    for epoch in job.loop.epochs(2):
        epoch.train(job.step, DATA).run()
        if epoch.number == 1:
            job.loop.save("first")
            drawn = float(keras.random.normal((), seed=seed))
            buffer.items.append(2)
    job.loop.load("first")
    assert (job.value, buffer.items) == (15.0, [1])
    assert float(keras.random.normal((), seed=seed)) == drawn
    # The run itself goes on.
    assert (job.loop.step, job.loop.epoch, job.loop.memory) == (6, 2, {"best": 3})


def test_run_is_the_loop_written_for_you(job, capsys):
    history = job.loop.run(job.step, DATA, job.step, DATA, epochs=2, every=2)
    assert history is job.loop.history
    assert history["train_mean"].tolist() == history["val_mean"].tolist() == [3.0, 3.0]
    assert "epoch 2/2" in capsys.readouterr().err
    before = job.told
    job.loop.run(job.step, DATA, epochs=3)
    assert len(job.told) > len(before)
    assert job.loop.epoch == 3


def test_print_draws_what_will_run(job):
    name = keras.backend.backend()
    assert str(job.loop).splitlines() == [
        f"Loop on {name}: 0 epochs done, 0 steps",
        "├── owns",
        "│   └── total  Variable, 1 variable, 1 number",
        "└── in each epoch",
        "    └── known once the first epoch has begun",
    ]
    for epoch in job.loop.epochs(4):
        epoch.train(job.step, DATA, every=ol.every(300, 1000, start=1)).run()
        epoch.validate(job.step, [np.ones(2)])
        epoch.step(job.step, np.ones(2), name="own")
        if epoch.number == 2:
            job.loop.stop("enough")
    assert str(job.loop).splitlines() == [
        f"Loop on {name}: 2 of 4 epochs done, 8 steps, stopped: enough",
        "├── owns",
        "│   └── total  Variable, 1 variable, 1 number",
        "└── in each epoch",
        f"    ├── train 'train': step over {DATA}",
        "    │   ├── a look every 300 and every 1,000 batches, from batch 1",
        "    │   └── eager (compile=False)",
        "    ├── validate 'val': step over a list of 1 batch",
        "    │   └── eager (compile=False)",
        "    └── step 'own': step on batches of the user's own",
        "        └── eager (compile=False)",
    ]
    assert repr(job.loop) == "Loop(total=Variable; step 8, epoch 2)"


def test_a_loop_without_names_says_how_its_state_is_found():
    text = str(ol.Loop(observers=[]))
    assert "nothing by name; what the steps touch is found by tracing them" in text


def test_objects_without_a_name_are_told_to_get_one():
    model, rate = keras.Sequential(), keras.Variable(0.1)
    words = r"without a name: Sequential, Variable\. Expected .*Loop\(model=model"
    with pytest.raises(LoopError, match=words):
        ol.Loop(model, rate)


def test_a_loop_says_what_it_compiles(capsys):
    def step(x):
        return keras.ops.mean(x)

    ol.Loop().validate(step, ol.Batches(np.ones(2), batch_size=2))
    assert "ownloop: compiling step\n" in capsys.readouterr().err


def test_data_are_never_printed_to_describe_a_pass(job):
    class Silent(list):
        def __repr__(self):
            raise AssertionError("printing thousands of numbers takes long")

    for epoch in job.loop.epochs(1):
        epoch.train(job.step, Silent([np.ones(2, "float32")])).run()
    assert "train 'train': step over a Silent of 1 batch" in str(job.loop)


@pytest.mark.parametrize("way", ["train", "validate", "step"])
def test_a_scope_that_would_be_passed_by_is_refused(job, way):
    zeros = [(job.total, keras.ops.convert_to_tensor(0.0))]
    for epoch in job.loop.epochs(1):
        ways = {
            "train": lambda epoch=epoch: epoch.train(job.step, DATA).run(),
            "validate": lambda epoch=epoch: epoch.validate(job.step, DATA),
            "step": lambda epoch=epoch: epoch.step(job.step, np.ones(2)),
        }
        with (
            keras.StatelessScope(zeros),
            pytest.raises(LoopError, match=r"inside of a StatelessScope .* Close it"),
        ):
            ways[way]()
        epoch.train(job.step, DATA, name="after").run()
    assert job.value == 15
