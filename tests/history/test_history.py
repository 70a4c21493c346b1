"""The history: what was recorded is what is read, by step, by look and by epoch."""

import sys

import numpy as np
import pytest

from ownloop.errors import BackendError, HistoryError, LoopError
from ownloop.history import Best, History

NAN = float("nan")


def recorded():
    """Two epochs of ten steps, with two validations in each, and a third one open."""
    history = History()
    for epoch in (1, 2, 3):
        for half in (0, 1):
            done = 10 * (epoch - 1) + 5 * half + np.arange(1, 6)
            history.record_steps("train", {"loss": 1 / done}, done)
            loss = {"loss": 1 / done[-1]}
            history.record_pass("val", loss, step=int(done[-1]), epoch=epoch)
        f1 = np.array([0.25, 0.5]) * epoch
        values = {"loss": 1 / epoch, "f1": f1}
        history.record_pass("train", values, step=10 * epoch, epoch=epoch)
        if epoch < 3:
            history.record_epoch(epoch, step=10 * epoch)
    return history


def looked(*values):
    history = History()
    for step, value in enumerate(values, start=1):
        history.record_pass("val", {"loss": value}, step=10 * step, epoch=step)
    return history


def test_an_epochs_column_has_the_last_look_of_each_closed_epoch():
    history = recorded()
    assert len(history) == 2
    np.testing.assert_array_equal(history["train_loss"], [1, 0.5])
    np.testing.assert_array_equal(history["val_loss"], [1 / 10, 1 / 20])
    np.testing.assert_array_equal(history["epoch"], [1, 2])
    np.testing.assert_array_equal(history["step"], [10, 20])
    assert history["train_loss"].dtype == np.float64


def test_arrays_are_stacked_by_epoch():
    np.testing.assert_array_equal(recorded()["train_f1"], [[0.25, 0.5], [0.5, 1.0]])


def test_all_columns_come_with_epoch_and_step_first():
    names = ["epoch", "step", "val_loss", "train_loss", "train_f1"]
    assert list(recorded().epochs) == names
    assert recorded().names == tuple(names[2:])
    assert recorded().to_dict() == {
        "epoch": [1, 2],
        "step": [10, 20],
        "val_loss": [0.1, 0.05],
        "train_loss": [1.0, 0.5],
        "train_f1": [[0.25, 0.5], [0.5, 1.0]],
    }


def test_every_step_is_kept_with_its_number():
    history = recorded()
    assert list(history.steps) == ["train_loss"]
    np.testing.assert_array_equal(history.steps.step("train_loss"), np.arange(1, 31))
    np.testing.assert_array_equal(history.steps["train_loss"], 1 / np.arange(1, 31))


def test_float32_values_keep_their_bits():
    history = History()
    values = np.random.default_rng(0).normal(size=100).astype(np.float32)
    history.record_steps("train", {"loss": values}, np.arange(100))
    kept = history.steps["train_loss"].astype(np.float32)
    assert kept.tobytes() == values.tobytes()


def test_every_look_is_kept_with_its_step_and_epoch():
    looks = recorded().looks("val_loss")
    np.testing.assert_array_equal(looks.step, [5, 10, 15, 20, 25, 30])
    np.testing.assert_array_equal(looks.epoch, [1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(looks.value, 1 / looks.step)
    assert len(looks) == 6
    assert recorded().looks("train_f1").value.shape == (3, 2)


def test_names_that_come_late_or_are_missing_are_nan_there():
    history = History()
    for epoch in (1, 2, 3):
        if epoch == 2:
            values = {"loss": 0.5, "f1": [0.1, 0.2]}
            history.record_pass("val", values, step=epoch, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    np.testing.assert_array_equal(history["val_loss"], [NAN, 0.5, NAN])
    np.testing.assert_array_equal(history["val_f1"], [[NAN] * 2, [0.1, 0.2], [NAN] * 2])


def test_an_open_epoch_has_a_row_and_is_no_part_of_the_columns():
    history = recorded()
    row = history.row(3)
    assert set(row) == {"val_loss", "train_loss", "train_f1"}
    assert row["val_loss"] == 1 / 30
    assert type(row["val_loss"]) is float
    np.testing.assert_array_equal(history.row(1)["train_f1"], [0.25, 0.5])
    assert len(history["val_loss"]) == 2


def test_a_name_that_the_row_does_not_have_yet_says_so():
    with pytest.raises(HistoryError, match=r"'val_los' is not known in epoch 3 yet"):
        recorded().row(3)["val_los"]
    with pytest.raises(HistoryError, match="so far there is none"):
        recorded().row(4)["val_loss"]
    assert recorded().row(4).get("val_loss") is None


def test_columns_are_empty_before_the_first_epoch_is_closed():
    history = looked(0.5)
    assert history["val_loss"].shape == (0,)
    assert len(history) == 0


def test_what_was_read_does_not_change_when_more_is_recorded():
    history = recorded()
    before, copy = history.steps["train_loss"], history.steps["train_loss"].copy()
    for step in range(31, 200):
        history.record_steps("train", {"loss": [0.0]}, np.array([step]))
    np.testing.assert_array_equal(before, copy)
    assert len(history.steps["train_loss"]) == 199
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 1


def test_what_was_recorded_does_not_change_with_the_callers_array():
    history, f1 = History(), np.array([0.5])
    history.record_pass("val", {"f1": f1}, step=1, epoch=1)
    f1[0] = 0
    assert history.row(1)["val_f1"] == 0.5
    assert history.looks("val_f1").value[0] == 0.5


@pytest.mark.parametrize(
    ("values", "lowest", "highest"),
    [
        ([3.0], Best(10, 3.0, 0), Best(10, 3.0, 0)),
        ([3.0, 1.0, 2.0], Best(20, 1.0, 1), Best(10, 3.0, 2)),
        ([1.0, 1.0], Best(10, 1.0, 1), Best(10, 1.0, 1)),
        ([2.0, NAN, 1.0], Best(30, 1.0, 0), Best(10, 2.0, 2)),
        ([NAN, 2.0, NAN], Best(20, 2.0, 1), Best(20, 2.0, 1)),
        ([-np.inf, np.inf], Best(10, -np.inf, 1), Best(20, np.inf, 0)),
    ],
)
def test_the_best_look_has_its_step_and_its_age(values, lowest, highest):
    history = looked(*values)
    assert history.lowest("val_loss") == lowest
    assert history.highest("val_loss") == highest


def test_looks_that_are_all_nan_have_no_best_and_grow_old():
    best = looked(NAN, NAN).lowest("val_loss")
    assert np.isnan(best.value)
    assert best.age == 2


def test_before_any_look_there_is_no_best():
    with pytest.raises(HistoryError, match=r"'val_loss' is not the name of a look"):
        History().lowest("val_loss")


def test_arrays_have_no_best():
    with pytest.raises(HistoryError, match=r"'train_f1' has arrays of shape \(2,\)"):
        recorded().lowest("train_f1")


def test_looks_outside_the_epochs_are_no_column():
    history = recorded()
    history.record_pass("test", {"accuracy": 0.9}, step=30)
    assert history.highest("test_accuracy") == Best(30, 0.9, 0)
    assert history.looks("test_accuracy").epoch.tolist() == [0]
    assert "test_accuracy" not in history
    assert "test_accuracy" not in history.epochs
    with pytest.raises(HistoryError, match=r"ask history.looks\('test_accuracy'\)"):
        history["test_accuracy"]


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(HistoryError) as caught:
        recorded()["val_los"]
    assert str(caught.value) == (
        "'val_los' is not a column of the epochs. Expected one of: epoch, step, "
        "val_loss, train_loss, train_f1. Did you mean 'val_loss'?"
    )
    with pytest.raises(KeyError, match="Expected one of: train_loss"):
        recorded().steps["loss"]
    assert "val_loss" in recorded()
    assert "val_los" not in recorded()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loss", "Did you mean 'val_loss' or 'train_loss'?"),
        ("val", "Did you mean 'val_loss'?"),
        ("train_lss", "Did you mean 'train_loss'?"),
        ("train_acc", "Names are the pass's name, an underscore, and what the"),
    ],
)
def test_names_with_the_asked_word_in_them_are_meant_and_no_distant_ones(name, words):
    with pytest.raises(HistoryError) as caught:
        recorded()[name]
    assert words in str(caught.value)


def test_a_name_that_is_known_for_steps_only_says_where():
    history = History()
    history.record_steps("dqn", {"loss": [0.5]}, np.array([1]))
    with pytest.raises(HistoryError, match=r"ask history.steps\['dqn_loss'\]"):
        history["dqn_loss"]


def test_an_epoch_is_recorded_once_and_in_order():
    with pytest.raises(LoopError, match=r"Epoch 2 was to be recorded after epoch 2"):
        recorded().record_epoch(2, step=20)


def test_two_passes_cannot_share_a_name_and_nothing_is_recorded():
    history = History()
    history.record_pass("val", {"a_loss": 0.5}, step=1, epoch=1)
    with pytest.raises(LoopError, match="val_a_loss is the name of two values"):
        history.record_pass("val_a", {"accuracy": 1, "loss": 0.5}, step=1, epoch=1)
    assert history.names == ("val_a_loss",)


def test_a_value_keeps_its_shape():
    history = recorded()
    with pytest.raises(LoopError, match=r"train_f1 has shape \(3,\), and had \(2,\)"):
        history.record_pass("train", {"loss": 1, "f1": np.zeros(3)}, step=31, epoch=3)
    assert len(history.looks("train_loss")) == 3


def test_each_step_has_one_number():
    with pytest.raises(LoopError, match=r"of shape \(3,\) for 2 steps"):
        History().record_steps("train", {"loss": np.zeros(3)}, np.arange(2))


def test_it_shows_its_last_epochs_as_a_table():
    assert repr(recorded()).splitlines() == [
        "History of 2 epochs, 20 steps",
        "epoch  step  val_loss  train_loss",
        "    1    10    0.1000      1.0000",
        "    2    20    0.0500      0.5000",
        "and 1 column more",
    ]
    assert repr(History()) == "History of 0 epochs, 0 steps"


def test_a_long_and_wide_history_still_fits_on_the_screen():
    history = History()
    for epoch in range(1, 20):
        values = {f"quite_a_long_name_{i}": 1e-5 if i else NAN for i in range(20)}
        history.record_pass("val", values, step=epoch, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    lines = repr(history).splitlines()
    assert lines[0] == "History of 19 epochs, 19 steps, the last 5"
    assert len(lines) == 8
    assert max(map(len, lines)) <= 88
    assert lines[-1] == "and 17 columns more"
    assert lines[-2].split() == ["19", "19", "-", "1.000e-05", "1.000e-05"]


def test_a_table_that_is_too_wide_shows_the_losses_of_all_passes_first():
    history, values = History(), {f"quite_long_{i}": 0.5 for i in range(9)}
    for name in ("train", "val"):
        history.record_pass(name, {**values, "loss": 0.25}, step=1, epoch=1)
    history.record_epoch(1, step=1)
    _, names, _, more = repr(history).splitlines()
    assert names.split() == [
        "epoch",
        "step",
        "train_quite_long_0",
        "train_loss",
        "val_quite_long_0",
        "val_loss",
    ]
    assert more == "and 16 columns more"


def test_without_matplotlib_plot_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "ownloop.observers.plots", raising=False)
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendError, match=r'pip install "ownloop\[plots\]"'):
        recorded().plot()


def test_who_follows_is_handed_what_was_recorded_in_order():
    history, records = History(), []
    history.follow(records.append)
    loss, steps = np.array([0.5, 0.25]), np.array([1, 2])
    history.record_steps("train", {"loss": loss, "rate": [1, 2]}, steps)
    history.record_pass("val", {"f1": [0.5, NAN], "loss": 7}, step=2, epoch=1)
    history.record_epoch(1, step=2)
    loss[:], steps[:] = 0, 0  # a record owns its arrays
    first, second, third = records
    assert (first.pass_name, first.keys) == ("train", ("loss", "rate"))
    assert first.steps.tolist() == [1, 2]
    assert first.values.tolist() == [[0.5, 1.0], [0.25, 2.0]]
    assert (second.pass_name, second.step, second.epoch) == ("val", 2, 1)
    assert second.values["f1"].shape == (2,)
    assert second.values["loss"].shape == ()
    assert (third.number, third.step) == (1, 2)


def test_who_follows_is_not_told_of_what_was_refused_or_came_after():
    history, records = History(), []
    history.follow(records.append)
    with pytest.raises(LoopError):
        history.record_steps("train", {"loss": [1.0]}, np.arange(2))
    with pytest.raises(LoopError):
        history.record_epoch(0, step=0)
    history.record_pass("val", {}, step=1)  # in which there is no value
    history.follow(None)
    history.record_epoch(1, step=1)
    assert records == []


def test_what_it_held_before_grows_by_itself_and_leaves_the_whole():
    history = History()
    history.record_steps("train", {"loss": [1.0, 2.0]}, np.array([1, 2]))
    history.record_pass("val", {"loss": 1.0}, step=2, epoch=1)
    history.record_epoch(1, step=2)
    history.record_pass("val", {"loss": 2.0}, step=2, epoch=2)
    counts = history.counts
    history.record_steps("train", {"loss": [3.0]}, np.array([3]))
    history.record_pass("val", {"loss": 3.0}, step=3, epoch=2)
    history.record_pass("late", {"loss": 4.0}, step=3, epoch=2)
    history.record_epoch(2, step=3)

    before = history.until(counts, epochs=1, steps=2)
    assert before.names == ("val_loss",)
    assert before.origins.keys() == {"train_loss", "val_loss"}
    assert before.to_dict() == {"epoch": [1], "step": [2], "val_loss": [1.0]}
    assert dict(before.row(2)) == {"val_loss": 2.0}
    before.record_steps("train", {"loss": [9.0]}, np.array([3]))
    before.record_pass("val", {"loss": 9.0}, step=3, epoch=2)
    before.record_epoch(2, step=3)
    assert before.looks("val_loss").value.tolist() == [1.0, 2.0, 9.0]
    assert history.looks("val_loss").value.tolist() == [1.0, 2.0, 3.0]
    assert history.steps["train_loss"].tolist() == [1.0, 2.0, 3.0]
    assert history["val_loss"].tolist() == [1.0, 3.0]
    empty = history.until({}, epochs=0, steps=0)
    assert (len(empty), empty.names, dict(empty.steps)) == (0, (), {})
