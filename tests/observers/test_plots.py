"""The picture: which values share an axis, what is written beside them, and where."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ownloop.errors import HistoryError
from ownloop.history import History
from ownloop.observers.plots import _spread, plot_history

PNG = b"\x89PNG\r\n"


def recorded(epochs, **passes):
    """Record for each pass a value of each key, divided by the epoch."""
    history = History()
    for epoch in range(1, epochs + 1):
        for name, values in passes.items():
            values = {key: np.divide(value, epoch) for key, value in values.items()}
            history.record_pass(name, values, step=epoch, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    return history


def digits(epochs):
    values = {"loss": 1.0, "accuracy": 0.5}
    return recorded(epochs, train=values, val=values)


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def lines(axes):
    return [line.get_label() for line in axes.get_lines()]


def test_accuracy_is_above_loss_and_each_has_train_and_val():
    figure = plot_history(digits(10))
    assert titles(figure) == ["accuracy", "loss"]
    assert [lines(axes) for axes in figure.axes] == [["train", "val"]] * 2
    above, below = (axes.get_position() for axes in figure.axes)
    assert above.y0 > below.y1
    assert above.x0 == below.x0


def test_the_lines_are_the_columns_over_the_epochs():
    history = digits(3)
    line = plot_history(history).axes[1].get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), history["train_loss"])


def test_other_names_get_an_axis_each_below():
    values = {"perplexity": 3.0, "d_loss": 1.0, "sparse_accuracy": 0.5, "rate": 0.1}
    figure = plot_history(recorded(2, gan=values))
    assert titles(figure) == ["sparse_accuracy", "d_loss", "perplexity", "rate"]


def test_a_pass_has_one_colour_everywhere():
    values = {"loss": 1.0, "accuracy": 0.5}
    figure = plot_history(recorded(2, train=values, val=values, noisy=values))
    colours = [[line.get_color() for line in axes.get_lines()] for axes in figure.axes]
    assert colours[0] == colours[1]
    assert len(set(colours[0])) == 3


def test_each_line_has_its_name_and_last_value_beside_it():
    figure = plot_history(recorded(1, train={"loss": 0.123456}, val={"loss": 1234.5}))
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "train  0.1235",
        "val  1234",
    ]


def test_an_array_is_drawn_by_its_entries_and_their_mean():
    figure = plot_history(recorded(2, val={"f1": [0.5, 1.0, np.nan]}))
    drawn = [line.get_ydata().tolist() for line in figure.axes[0].get_lines()]
    assert drawn[:2] == [[0.5, 0.25], [1.0, 0.5]]
    assert drawn[-1] == [0.75, 0.375]


def test_values_that_are_not_finite_leave_a_gap():
    history = History()
    for epoch, loss in enumerate([1.0, np.inf, np.nan, 0.5], start=1):
        history.record_pass("val", {"loss": loss, "none": np.nan}, step=1, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    figure = plot_history(history)
    assert titles(figure) == ["loss"]
    drawn = figure.axes[0].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(drawn, [1, np.nan, np.nan, 0.5])


def test_a_pass_that_only_some_epochs_had_is_one_line_through_its_values():
    history = History()
    for epoch in range(1, 61):
        history.record_pass("train", {"loss": 1.0}, step=epoch, epoch=epoch)
        if epoch % 5 == 0:
            values = {"loss": 1 / epoch, "f1": [0.5, 1 / epoch]}
            history.record_pass("val", values, step=epoch, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    loss, f1 = plot_history(history).axes
    for line in (loss.get_lines()[1], *f1.get_lines()):
        np.testing.assert_array_equal(line.get_xdata(), range(5, 61, 5))
        assert np.isfinite(line.get_ydata()).all()
    assert loss.get_lines()[1].get_marker() == "o"
    assert loss.get_lines()[0].get_marker() == ""


def test_a_value_without_a_neighbour_has_a_dot_among_many_epochs():
    history = History()
    for epoch in range(1, 61):
        loss = np.nan if epoch in (10, 12, 60) else 1.0
        history.record_pass("val", {"loss": loss}, step=epoch, epoch=epoch)
        history.record_epoch(epoch, step=epoch)
    (line,) = plot_history(history).axes[0].get_lines()
    assert line.get_marker() == "o"
    assert [line.get_xdata()[place] for place in line.get_markevery()] == [11]


@pytest.mark.parametrize(("epochs", "ticks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])])
def test_few_epochs_have_dots_and_whole_numbers_below(epochs, ticks):
    axes = plot_history(digits(epochs)).axes[-1]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == ticks
    assert axes.get_lines()[0].get_marker() == "o"


def test_equal_values_of_a_single_epoch_are_a_dot_and_rings_around_it():
    loss = {"loss": 0.5}
    axes = plot_history(recorded(1, train=loss, val=loss, noisy=loss)).axes[0]
    dot, *rings = axes.get_lines()
    assert dot.get_markerfacecolor() == dot.get_color()
    assert [ring.get_markerfacecolor() for ring in rings] == ["none", "none"]
    assert [ring.get_markeredgecolor() for ring in rings] == [
        ring.get_color() for ring in rings
    ]
    sizes = [line.get_markersize() for line in axes.get_lines()]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("values", "rows", "columns"),
    [(6, 6, 1), (7, 4, 2), (12, 6, 2), (13, 5, 3), (15, 5, 3), (30, 10, 3)],
)
def test_many_values_are_drawn_side_by_side(values, rows, columns):
    keys = {f"value_{place:02}": 1.0 for place in range(values)}
    figure = plot_history(recorded(2, val=keys))
    assert titles(figure) == list(keys)
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, columns)
    assert np.allclose(figure.get_size_inches() / (7.2, 2.5), (columns, rows), atol=1)


def test_the_lowest_axis_of_each_column_tells_the_epochs():
    figure = plot_history(recorded(3, val={f"value_{n}": 1.0 for n in range(7)}))
    figure.canvas.draw()
    named = [axes.get_title(loc="left") for axes in figure.axes if axes.get_xlabel()]
    ticked = [
        axes.get_title(loc="left")
        for axes in figure.axes
        if any(label.get_visible() for label in axes.get_xticklabels())
    ]
    assert named == ticked == ["value_5", "value_6"]


def test_many_epochs_have_no_dots_and_never_an_epoch_0():
    axes = plot_history(digits(100)).axes[-1]
    assert axes.get_xlim()[0] > 0
    assert axes.get_lines()[0].get_marker() == ""


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.0, 1.0], [0.0, 1.0]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.0, 0.5, 0.5, 0.5], [0.0, 0.4, 0.5, 0.6]),
        ([0.5, 0.5, 0.58], [0.4267, 0.5267, 0.6267]),
    ],
)
def test_labels_move_only_as_far_as_they_must(places, expected):
    np.testing.assert_allclose(_spread(places), expected, atol=1e-4)


def test_the_file_has_the_format_of_its_ending(tmp_path):
    digits(2).plot(tmp_path / "history.png")
    digits(2).plot(str(tmp_path / "history.svg"))
    assert (tmp_path / "history.png").read_bytes().startswith(PNG)
    assert b"<svg" in (tmp_path / "history.svg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_there_is_nothing_to_draw_before_the_first_epoch():
    history = History()
    with pytest.raises(HistoryError, match=r"0 closed epochs and 0 values"):
        history.plot()


def test_in_the_first_body_it_says_when_there_is_something():
    history = History()
    history.record_pass("val", {"loss": 0.5}, step=10, epoch=1)
    with pytest.raises(HistoryError, match="when the first epoch's body is over"):
        history.plot()
    history.record_epoch(1, step=10)
    assert history.plot() is not None


def test_drawing_never_loads_pyplot_and_recording_never_loads_matplotlib():
    code = """
import sys
from ownloop.history import History
history = History()
history.record_pass("val", {"loss": 0.5}, step=1, epoch=1)
history.record_epoch(1, step=1)
assert "matplotlib" not in sys.modules
history.plot()
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
